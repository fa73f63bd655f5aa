// The calls of analytics.js, made into events of the Segment spec.

import { add } from "./queue.js";
import { become, choice, d, forget, mayCollect, mayStore, me, newId, signal, wording } from "./state.js";

const isText = (value) => /string|number/.test(typeof value);

let referrer = d.referrer;

// Our click id leaves the address as soon as it is read: it is used once, and nobody should copy or bookmark it.
const found = /[?&]mw_click=([\w-]+)/.exec(location.search);
let click = found?.[1];
if (click) {
  const search = location.search.replace(found[0], "").replace(/^&/, "?");
  history.replaceState(history.state, "", location.pathname + search + location.hash);
}

/** The page of the last page call. */
export let lastPage;

/** What tells one page of a document from another. */
export const here = () => location.pathname + location.search;

function campaign() {
  let told;
  for (const [name, value] of new URLSearchParams(location.search)) {
    const part = /^utm_(\w+)/.exec(name)?.[1];
    if (part) (told ||= {})[part == "campaign" ? "name" : part] = value;
  }
  return told;
}

const pageNow = () => ({
  path: location.pathname,
  referrer,
  search: location.search,
  title: d.title,
  url: location.href,
});

function send(type, told, more = {}) {
  if (!mayCollect()) return;
  const [anonymousId, userId] = me();
  add({
    type,
    messageId: more.messageId || newId(),
    timestamp: new Date(),
    anonymousId,
    userId: userId || undefined,
    context: {
      page: pageNow(),
      campaign: campaign(),
      consent: choice && { categoryPreferences: choice, wording },
      gpc: signal,
      mw_click: (mayStore() && !userId && click) || undefined,
      ...more.context,
    },
    ...told,
  });
  if (mayStore()) click = 0;
}

/** What parts add: done when a page begins, when its time is told, and to find what was told already. */
export const hooks = { look: [], time: [], told: [] };

/** Send what happened. `from` names who tells it: the shop's own code (`api`), the page or a data layer. */
export function tell(event, properties = {}, from, options) {
  if (hooks.isNew ? hooks.isNew(event, properties, from) : hooks.told.push([event, properties, from]))
    send("track", { event, properties }, options);
}

// --- the calls ------------------------------------------------------------------------------------------------------

export const calls = {
  track: (event, properties, options) => tell(event, properties, "api", options),
  page(...given) {
    const words = given.filter(isText);
    const [properties, options] = given.filter((one) => one && !isText(one));
    const name = words.pop();
    if (lastPage && lastPage.url != location.href) referrer = lastPage.url;
    lastPage = pageNow();
    send("page", { name, category: words[0], properties: { ...lastPage, name, ...properties } }, options);
  },
  identify(...given) {
    const [id, traits, options] = isText(given[0] ?? "") ? given : [0, ...given];
    if (id) become(id);
    send("identify", { traits }, options);
  },
  group: (groupId, traits, options) => send("group", { groupId, traits }, options),
  alias: (userId, previousId, options) => send("alias", { userId, previousId: previousId || me()[0] }, options),
  reset: forget,
};
