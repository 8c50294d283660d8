// The page of a diagram: fold, zoom, hover and search. It reads names and texts of the page, and never makes markup of them.
"use strict";
(function () {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const byId = (id) => document.getElementById(id);
  const note = byId("note"), search = byId("search"), count = byId("count");
  const drawings = all(".drawing svg");
  const sizes = new Map(drawings.map((svg) => [svg, [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))]]));
  let zoom = 1, found = [], current = -1;

  // -- zoom

  function setZoom(value) {
    zoom = Math.min(4, Math.max(0.2, value));
    for (const [svg, [width, height]] of sizes) {
      svg.setAttribute("width", width * zoom);
      svg.setAttribute("height", height * zoom);
    }
    byId("zoom").textContent = Math.round(zoom * 100) + " %";
  }

  function fitWidth() {
    const model = document.querySelector("details.model .drawing");
    setZoom(Math.min(1, (model.clientWidth - 4) / sizes.get(model.querySelector("svg"))[0]));
  }

  byId("larger").addEventListener("click", () => setZoom(zoom * 1.2));
  byId("smaller").addEventListener("click", () => setZoom(zoom / 1.2));
  byId("zoom").addEventListener("click", () => setZoom(1));
  byId("fit").addEventListener("click", fitWidth);
  document.addEventListener("wheel", (event) => {
    if (event.ctrlKey) {
      event.preventDefault();
      setZoom(zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
    }
  }, { passive: false });
  for (const drawing of all(".drawing")) {
    let from = null;
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && !event.target.closest(".sb-box")) from = [event.clientX, event.clientY];
    });
    drawing.addEventListener("pointermove", (event) => {
      if (!from) return;
      drawing.scrollLeft -= event.clientX - from[0];
      window.scrollBy(0, from[1] - event.clientY);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) drawing.addEventListener(end, () => { from = null; });
  }

  // -- fold

  const panels = new Map(all("details[data-panel]").map((element) => [element.dataset.panel, element]));

  function showPanel(key) {
    const panel = panels.get(key);
    if (!panel) return;
    panel.open = true;
    panel.scrollIntoView({ block: "center", behavior: "smooth" });
    panel.classList.remove("flash");
    void panel.offsetWidth;
    panel.classList.add("flash");
  }

  byId("open").addEventListener("click", () => { for (const panel of panels.values()) panel.open = true; });
  byId("close").addEventListener("click", () => { for (const panel of panels.values()) panel.open = panel.classList.contains("model"); });

  // -- hover

  function tooltip(group) {
    const title = Array.from(group.children).find((child) => child.localName === "title");
    return title ? title.textContent : "";
  }

  function highlight(group) {
    const svg = group.ownerSVGElement, key = group.dataset.key, ends = group.dataset.ends;
    const near = new Set(ends ? ends.split(" ") : [key]);
    const links = all("[data-ends]", svg).filter((link) => (ends ? link === group : link.dataset.ends.split(" ").includes(key)));
    for (const link of links) {
      link.classList.add("hit");
      for (const end of link.dataset.ends.split(" ")) near.add(end);
    }
    for (const box of all("[data-key]", svg)) if (near.has(box.dataset.key)) box.classList.add("hit");
    note.textContent = tooltip(group) + (group.dataset.opens ? "\n(click: show the inside)" : "");
  }

  function clear() {
    for (const element of all(".hit")) element.classList.remove("hit");
    note.textContent = "";
  }

  for (const group of all("[data-key], [data-ends]")) {
    group.addEventListener("pointerenter", () => { clear(); highlight(group); });
    group.addEventListener("pointerleave", clear);
  }
  for (const box of all("[data-key]")) {
    box.addEventListener("focus", () => { clear(); highlight(box); });
    box.addEventListener("blur", clear);
    if (box.dataset.opens) {
      box.addEventListener("click", () => showPanel(box.dataset.opens));
      box.addEventListener("keydown", (event) => { if (event.key === "Enter") showPanel(box.dataset.opens); });
    }
  }

  // -- search

  const texts = all("[data-key]").map((box) => [box, (box.textContent + " " + (box.dataset.steps || "")).toLowerCase()]);

  function find() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = words.length ? texts.filter(([, text]) => words.every((word) => text.includes(word))).map(([box]) => box) : [];
    current = -1;
    for (const [box] of texts) {
      box.classList.toggle("found", found.includes(box));
      box.classList.toggle("dim", words.length > 0 && !found.includes(box));
    }
    count.textContent = words.length ? String(found.length) : "";
  }

  function showNext() {
    if (!found.length) return;
    current = (current + 1) % found.length;
    const box = found[current];
    box.closest("details").open = true;
    box.scrollIntoView({ block: "center", inline: "center", behavior: "smooth" });
    clear();
    highlight(box);
    count.textContent = current + 1 + "/" + found.length;
  }

  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") showNext();
    if (event.key === "Escape") { search.value = ""; find(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    if (event.key === "+") setZoom(zoom * 1.2);
    if (event.key === "-") setZoom(zoom / 1.2);
    if (event.key === "0") setZoom(1);
  });

  // -- theme

  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });

  fitWidth();
  if (zoom < 0.5) setZoom(0.5);
})();
