// Mailwright's snippet: collects what happens on a shop's pages. One runs per page, however often it is installed.
//
//     <script async src="https://mail.my-shop.example/snippet.js" data-key="pk_..." data-consent="required"></script>

import { calls, hooks, tell } from "./events.js";
import { drop, flush, takeOver, watchLeaving } from "./queue.js";
import { choice, choose, d, forget, is, keepMe, maySend, mayStore, me, on, options, readChoice, signal, w } from "./state.js";
import { tellTime, watch } from "./watch.js";

const stub = w.mailwright || {};
const listeners = [];

/** What the part `shop` is for. */
const SELLS = "[data-mw-seen],[data-mw-feature],[data-mw-product],[data-mw-track],[data-mw-search],[data-mw-filter],video,audio,[type*=ld]";

if (!stub.live) start(d.currentScript);

function start(tag) {
  Object.assign(options, { host: tag?.src.split("/snippet.js")[0] }, tag?.dataset, stub.o);
  readChoice();
  const api = makeApi();
  const queued = [...(stub.q || [])];
  w.mailwright = api;
  if (mayStore()) {
    keepMe();
    takeOver();
  }
  const begin = () => {
    if (is("page") && !queued.some(([name]) => name == "page")) calls.page();
    for (const call of queued) api(...call);
    const sell = () => {
      if (w[options.layer] || d.querySelector(SELLS)) api.part("shop", { tell, options, hooks, on, me });
    };
    hooks.look.push(sell);
    watch();
    on("load", sell, w);
    if (is("analytics")) api.part("analytics");
    if (options.banner && !choice && !signal) api.part("banner", options.banner);
  };
  // A page that the browser prepares in advance may never be seen.
  if (d.prerendering) on("prerenderingchange", begin);
  else if (d.readyState == "loading") on("DOMContentLoaded", begin);
  else begin();
  watchLeaving(tellTime);
}

/** `mailwright('track', ...)` and `mailwright.track(...)`, the calls of analytics.js and those for consent. */
function makeApi() {
  const api = (name, ...given) => api[name]?.(...given);
  for (const name in calls) {
    api[name] = (...given) => {
      const then = given.find((one) => typeof one == "function");
      calls[name](...given.filter((one) => one !== then));
      if (then) setTimeout(then);
    };
  }
  return Object.assign(api, {
    live: 1,
    parts: {},
    ready: (then) => then(),
    user: () => ({ id: () => me()[1] || null, anonymousId: () => me()[0] }),
    may: maySend,
    consent,
    onConsent(then) {
      listeners.push(then);
      if (choice) then(choice);
    },
    /** Load a part that few pages need: `/snippet/NAME.js` finds what it is given in `mailwright.parts`. */
    part(name, given) {
      if (api.parts[name]) return;
      api.parts[name] = given;
      const script = d.createElement("script");
      script.src = `${options.host}/snippet/${name}.js`;
      d.head.append(script);
    },
  });
}

/** What a person agrees to, by purpose. Who takes their word back is told of once more and then forgotten. */
function consent(given, { wording, source } = {}) {
  const before = mayStore();
  const purposes = { ...choice, ...given };
  const say = () => tell("Consent Updated", { purposes, wording, source });
  const refused = purposes.analytics === false;
  if (refused && before) {
    say();
    flush(1);
  }
  choose(purposes, wording);
  if (refused) {
    forget();
    drop();
  } else {
    keepMe();
    if (!before) takeOver();
    say();
  }
  for (const then of listeners) then(choice);
}
