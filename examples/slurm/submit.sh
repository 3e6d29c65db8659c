#!/bin/bash
# Submit the whole chain: the index once, then match → download → embed for every workspace named.
#     CORPUS=/data/laion400m-meta INDEX=/data/captions ./submit.sh /data/birds /data/pets
set -euo pipefail
cd "$(dirname "$0")"
after=""
if [ -n "${CORPUS:-}" ]; then
    after="--dependency=afterok:$(sbatch --parsable index.sbatch)"
fi
for TASK in "$@"; do
    export TASK
    # shellcheck disable=SC2086 - empty or one option
    match=$(sbatch --parsable $after match.sbatch)
    download=$(sbatch --parsable --dependency="afterok:$match" download.sbatch)
    sbatch --dependency="afterok:$download" embed.sbatch
done
