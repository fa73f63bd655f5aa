// What every page shows: how long it is seen and how far, and clicks on links that lead away.

import { calls, here, hooks, lastPage, tell } from "./events.js";
import { d, is, on, w } from "./state.js";

let since = 0; // when the page became visible, or its time was told; 0 while it is hidden
let deepest = 0; // percent of the page that was seen

function scrolled() {
  deepest = Math.max(deepest, ((scrollY + innerHeight) / d.documentElement.scrollHeight) * 100);
}

/** Tell what has gone by since the last time: when the page is hidden, shown again, left or turned. Nothing goes by
 * between leaving it and its being hidden, however long the browser takes. */
export function tellTime(options, leaves) {
  const now = performance.now();
  const seconds = Math.round(since && (now - since) / 100) / 10;
  since = leaves || d.hidden ? 0 : now;
  if (seconds) tell("Page Left", { seconds, scroll_percent: Math.min(100, deepest | 0) }, "page", options);
  for (const then of hooks.time) then(options);
}

function clicked(event) {
  const link = event.target.closest?.("a[href]");
  if (link?.host != location.host && /^http/.test(link?.href)) tell("Outbound Link Clicked", { url: link.href }, "page");
}

/** Watch the document, and single-page applications, which change the address without loading one. */
export function watch() {
  if (!d.hidden) since = performance.now();
  on("click", clicked);
  on("scroll", scrolled, w);
  const look = () => {
    deepest = 0;
    scrolled();
    for (const then of hooks.look) then();
  };
  look();
  let at = here();
  let before = lastPage;
  const turned = () =>
    setTimeout(() => {
      if (here() == at) return;
      at = here();
      tellTime({ context: { page: before } });
      if (lastPage?.url != location.href) calls.page();
      before = lastPage;
      look();
    }, 100); // by then the application has set its title, or has made the call itself
  if (!is("spa")) return;
  const push = history.pushState;
  history.pushState = (...given) => {
    push.apply(history, given);
    turned();
  };
  on("popstate", turned, w);
}
