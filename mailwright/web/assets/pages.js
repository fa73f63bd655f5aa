// htmx for the parts of a page that load or refresh on their own. Its settings are in the page's meta element:
// no indicator style sheet and no evaluated expressions, so that the content security policy can stay strict.
import htmx from "htmx.org";

window.htmx = htmx;

// On a phone the pages' list scrolls sideways: where one is shall be seen.
document.querySelector(".side nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
