// `window.analytics` for code that was written for analytics.js: its calls so far are made up for, later ones are ours.

const before = window.analytics;
window.analytics = window.mailwright;
if (Array.isArray(before)) for (const [name, ...given] of before) window.mailwright(name, ...given);
