// What the theme leaves out for keyboards and screen readers: names for the copy buttons, a focus for what scrolls.
let named = 0;
function mend() {
  for (const nav of document.querySelectorAll(".md-code__nav:not([aria-label])"))
    nav.setAttribute("aria-label", `Copy code block ${++named}`);
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex]), pre > code:not([tabindex])"))
    box.setAttribute("tabindex", "0");
}
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
