// Draws every element with a `data-chart` attribute: JSON made by web/charts.py. The table beside each chart holds the
// same numbers and is all there is without JavaScript.
import { BarChart, CustomChart, LineChart, PieChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, CustomChart, LineChart, PieChart, GridComponent, TooltipComponent, SVGRenderer]);

const numbers = new Intl.NumberFormat("en");
const percents = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 2 });
const drawn = new Map();

function theme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    text: read("--text"),
    muted: read("--muted"),
    line: read("--line"),
    card: read("--card"),
    colours: [1, 2, 3, 4, 5, 6].map((n) => read(`--series-${n}`)),
    tipBack: read("--tip-back"),
    tipText: read("--tip-text"),
    font: getComputedStyle(document.body).fontFamily,
  };
}

function write(unit, value) {
  if (value === null || value === undefined) return "–";
  return unit === "rate" ? percents.format(value) : numbers.format(value);
}

// Axis labels have room for whole numbers only: 12k, 2M.
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const day = (iso) => days.format(new Date(iso));
const axisText = (unit) => (value) => unit === "rate" ? `${Math.round(value * 1000) / 10}%` : compact.format(value);

function shared(t) {
  return {
    animation: false,
    color: t.colours,
    textStyle: { fontFamily: t.font, color: t.text },
    tooltip: {
      renderMode: "richText",
      confine: true,
      backgroundColor: t.tipBack,
      borderWidth: 0,
      padding: [8, 10],
      textStyle: { color: t.tipText, fontSize: 12, fontFamily: t.font },
    },
  };
}

const valueAxis = (t, spec, more) => ({
  type: "value",
  axisLine: { show: false },
  axisTick: { show: false },
  axisLabel: { color: t.muted, fontSize: 11, formatter: axisText(spec.unit), hideOverlap: true },
  splitLine: { lineStyle: { color: t.line } },
  splitNumber: 4,
  ...more,
});

const nameAxis = (t, names, more) => ({
  type: "category",
  data: names,
  axisLine: { lineStyle: { color: t.line } },
  axisTick: { show: false },
  axisLabel: { color: t.muted, fontSize: 11, hideOverlap: true },
  ...more,
});

// Lines or stacked bars over days.
function overTime(spec, t) {
  const bars = spec.kind === "stacked";
  return {
    ...shared(t),
    tooltip: {
      ...shared(t).tooltip,
      trigger: "axis",
      axisPointer: { type: bars ? "shadow" : "line", lineStyle: { color: t.muted }, shadowStyle: { opacity: 0.08 } },
      formatter: (points) =>
        [points[0].name, ...points.filter((p) => !bars || p.value).map((p) => `${p.seriesName}  ${write(spec.unit, p.value)}`)].join("\n"),
    },
    grid: { left: 4, right: 12, top: 12, bottom: 4, containLabel: true },
    xAxis: nameAxis(t, spec.names, { boundaryGap: bars, axisLabel: { color: t.muted, fontSize: 11, hideOverlap: true, formatter: day } }),
    yAxis: valueAxis(t, spec, { minInterval: spec.unit === "rate" ? undefined : 1 }),
    series: spec.series.map((one, i) => ({
      name: one.name,
      type: bars ? "bar" : "line",
      stack: bars ? "all" : undefined,
      barMaxWidth: 28,
      data: one.values,
      showSymbol: spec.names.length < 3,
      lineStyle: { width: 2 },
      areaStyle: bars || i > 0 ? undefined : { opacity: 0.1 },
    })),
  };
}

// One bar per name; with `low` and `high` also a point with its interval, which is what may be read off.
function bars(spec, t) {
  const [one] = spec.series;
  const top = one.high ? Math.max(...one.high) : Math.max(...one.values);
  return {
    ...shared(t),
    tooltip: {
      ...shared(t).tooltip,
      trigger: "item",
      formatter: (p) => {
        const i = p.dataIndex;
        const interval = one.low ? `\n95% interval ${write(spec.unit, one.low[i])} to ${write(spec.unit, one.high[i])}` : "";
        return `${spec.names[i]}\n${write(spec.unit, one.values[i])}${interval}`;
      },
    },
    grid: { left: 4, right: one.low ? 20 : 58, top: 4, bottom: 4, containLabel: true },
    xAxis: valueAxis(t, spec, { splitNumber: 3, max: one.low ? niceTop(top) : undefined, interval: one.low ? niceTop(top) / 4 : undefined }),
    yAxis: nameAxis(t, spec.names, {
      inverse: true,
      axisLine: { show: false },
      axisLabel: { color: t.text, fontSize: 12.5, width: 150, overflow: "truncate" },
    }),
    series: [
      {
        name: one.name,
        type: "bar",
        data: one.values,
        barMaxWidth: 14,
        itemStyle: { borderRadius: 3, opacity: one.low ? 0.28 : 1 },
        label: one.low ? undefined : {
          show: true, position: "right", color: t.muted, fontSize: 11.5, formatter: (p) => write(spec.unit, p.value),
        },
      },
      ...(one.low ? [whisker(one, t)] : []),
    ],
  };
}

// The next of 1, 2, 5 x 10^n that leaves room above the longest interval, at most everything.
function niceTop(value) {
  if (!(value > 0)) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return Math.min(1, [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * size).find((n) => n >= value));
}

function whisker(one, t) {
  const colour = t.colours[0];
  return {
    type: "custom",
    silent: true,
    z: 5,
    data: one.values.map((value, i) => [one.low[i], one.high[i], i, value]),
    encode: { x: [0, 1], y: 2 },
    renderItem: (_, api) => {
      const [left, y] = api.coord([api.value(0), api.value(2)]);
      const [right] = api.coord([api.value(1), api.value(2)]);
      const [middle] = api.coord([api.value(3), api.value(2)]);
      const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: colour, lineWidth: 2 } });
      return {
        type: "group",
        children: [
          line(left, y, right, y), line(left, y - 5, left, y + 5), line(right, y - 5, right, y + 5),
          { type: "circle", shape: { cx: middle, cy: y, r: 5 }, style: { fill: colour, stroke: t.card, lineWidth: 2 } },
        ],
      };
    },
  };
}

function ring(spec, t) {
  const [one] = spec.series;
  const total = one.values.reduce((sum, value) => sum + value, 0);
  return {
    ...shared(t),
    tooltip: { ...shared(t).tooltip, formatter: (p) => `${p.name}\n${write(spec.unit, p.value)} (${percents.format(p.value / total)})` },
    series: [{
      type: "pie",
      radius: ["58%", "88%"],
      itemStyle: { borderColor: t.card, borderWidth: 2 },
      label: { show: true, position: "center", formatter: compact.format(total), color: t.text, fontSize: 18, fontWeight: 600 },
      emphasis: { scale: false },
      labelLine: { show: false },
      data: spec.names.map((name, i) => ({ name, value: one.values[i] })),
    }],
  };
}

const kinds = { line: overTime, stacked: overTime, bars, ring };

function draw(element) {
  const spec = JSON.parse(element.dataset.chart);
  if (spec.kind === "bars") element.style.height = `${spec.names.length * 34 + 36}px`;
  const chart = drawn.get(element) ?? init(element, null, { renderer: "svg" });
  drawn.set(element, chart);
  chart.setOption(kinds[spec.kind](spec, theme()), true);
}

function drawAll() {
  for (const [element, chart] of drawn) {
    if (!element.isConnected) {
      chart.dispose();
      drawn.delete(element);
    }
  }
  document.querySelectorAll("[data-chart]").forEach(draw);
}

const resized = new ResizeObserver((entries) => entries.forEach((entry) => drawn.get(entry.target)?.resize()));

function start() {
  drawAll();
  document.querySelectorAll("[data-chart]").forEach((element) => resized.observe(element));
  document.documentElement.classList.add("charts-drawn");
}

document.addEventListener("DOMContentLoaded", start);
document.addEventListener("mailwright:theme", drawAll);
document.addEventListener("htmx:after:swap", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
