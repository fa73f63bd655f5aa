// htmx for the parts of a page that load or refresh on their own. Its settings are in the page's meta element:
// no indicator style sheet and no evaluated expressions, so that the content security policy can stay strict.
import htmx from "htmx.org";

window.htmx = htmx;
