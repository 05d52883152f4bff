"use strict";
// Language, theme and the value under the pointer; the page says everything without it, too.
(() => {
  const root = document.documentElement;
  const setLanguage = (l) => { root.lang = l; };
  setLanguage(navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en");
  document.getElementById("language").onclick = () => setLanguage(root.lang === "en" ? "zh-CN" : "en");
  document.getElementById("theme").onclick = () => {
    const isDark = root.dataset.theme === "dark" || (root.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = isDark ? "light" : "dark";
  };
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const text = (v) => v === null ? "–" : typeof v === "string" ? v : Number(v.toPrecision(4)).toString();
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const c = charts[figure.dataset.chart], svg = figure.querySelector("svg"), tip = figure.querySelector(".tip"), cross = svg.querySelector(".cross");
    svg.onpointermove = (e) => {
      const box = svg.getBoundingClientRect(), x = (e.clientX - box.left) / box.width * c.width;
      const i = Math.max(0, Math.min(c.mean.length - 1, Math.floor((x - c.left) / (c.right - c.left) * c.mean.length)));
      const at = new Date(c.start + i * c.bucket).toISOString().slice(0, 19).replace("T", " ");
      const range = c.min[i] !== null && c.min[i] !== c.max[i] ? ` (${text(c.min[i])} … ${text(c.max[i])})` : "";
      tip.textContent = `${at}${c.step[i] === null ? "" : ` · ${root.lang === "en" ? "step" : "步"} ${c.step[i]}`} · ${text(c.mean[i])}${range}`;
      const place = c.left + (i + .5) / c.mean.length * (c.right - c.left);
      cross.setAttribute("x1", place); cross.setAttribute("x2", place);
      cross.style.visibility = tip.style.visibility = "visible";
      tip.style.left = `${Math.min(e.clientX - box.left + 12, Math.max(0, box.width - tip.offsetWidth))}px`;
      tip.style.top = `${e.clientY - box.top + 30}px`;
    };
    svg.onpointerleave = () => { cross.style.visibility = tip.style.visibility = "hidden"; };
  }
})();
