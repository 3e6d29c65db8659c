"""The exploration page: a FastAPI server over a caption index and, where there is one, a workspace.

In reading order:

    app              the FastAPI app: routes, errors, the page's own files
    serve            the socket, and uvicorn until Ctrl-C
    middleware       allowed hosts and sites, the token, limits, security headers
    connections      bounds on request heads, below HTTP
    schemas          requests and answers, as OpenAPI describes them
    explorer         the open index and workspace, and values read again when a file changes
    question_route   query strings parsed into a model
    caption_routes   /api/query, /api/count, /api/facets, /api/export
    caption_pages    a page of captions, counts, and facets
    streams          all rows of a question as Parquet or CSV
    executor         threads with a time limit for an answer
    worker_pool      processes that answer caption questions
    worker           one such process
    image_routes     /api/similar, /api/images
    uploads          an uploaded image, checked
    files            static files, and the workspace's images
    class_routes     /api/classes, marks
    class_pools      a class's synonyms, pool and scores
    preview          what a sample with other thresholds would keep, and its command

static/ has the page: index.html, style.css, and a JavaScript module a view.
"""
