// Shows the photo behind a mark and singles out labels. The page is complete without it.
(() => {
  "use strict";
  const section = document.getElementById("scatter");
  const plot = section && section.querySelector(".plot");
  if (!plot) return;
  const svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const card = plot.querySelector(".card");
  const status = section.querySelector("[role=status]");
  const data = document.getElementById("scatter-pictures");
  const pictures = data ? JSON.parse(data.textContent) : [];

  // Marks in document order, which is the order of the pictures. Their native titles give way to the card.
  const marks = [];
  for (const group of svg.querySelectorAll(".points > g")) {
    const name = group.dataset.name;
    for (const mark of group.children) {
      const title = mark.querySelector("title");
      marks.push({
        x: mark.x.baseVal.value, y: mark.y.baseVal.value, group, name,
        path: title.textContent.slice(name.length + 3), picture: pictures[marks.length],
      });
      title.remove();
    }
  }
  const visible = () => marks.filter((m) => !m.group.classList.contains("faded"));
  let current = null;

  function show(mark) {
    current = mark;
    if (!mark) {
      card.hidden = true;
      cursor.setAttribute("visibility", "hidden");
      return;
    }
    cursor.setAttribute("cx", mark.x);
    cursor.setAttribute("cy", mark.y);
    cursor.setAttribute("visibility", "visible");
    const image = card.querySelector("img");
    image.hidden = !mark.picture;
    if (mark.picture) image.src = "data:image/jpeg;base64," + mark.picture;
    card.querySelector("bdi").textContent = mark.name;
    card.querySelector(".path").textContent = mark.path;
    card.hidden = false;
    // Beside the mark, inside the plot.
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const x = mark.x * scale, y = mark.y * scale;
    const right = x + 16 + card.offsetWidth <= box.width;
    card.style.left = Math.max(0, right ? x + 16 : x - 16 - card.offsetWidth) + "px";
    card.style.top = Math.max(0, Math.min(y - card.offsetHeight / 2, box.height - card.offsetHeight)) + "px";
  }

  function nearest(event, reach) {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = null, bound = (reach * scale) ** 2;
    for (const mark of visible()) {
      const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2;
      if (distance < bound) { best = mark; bound = distance; }
    }
    return best;
  }

  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", "Photos by their first two components. Arrow keys go from mark to mark.");
  svg.addEventListener("pointermove", (e) => { if (e.pointerType === "mouse") show(nearest(e, 18)); });
  svg.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") show(null); });
  svg.addEventListener("click", (e) => show(nearest(e, 28)));
  plot.addEventListener("blur", () => show(null));
  plot.addEventListener("keydown", (e) => {
    if (e.key === "Escape") { show(null); return; }
    const axis = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1] }[e.key];
    const among = visible();
    if (!axis || !among.length) return;
    e.preventDefault();
    const [along, sign] = axis, aside = along === "x" ? "y" : "x";
    let best = current ? null : among[0], bound = Infinity;
    for (const mark of current ? among : []) {
      const ahead = (mark[along] - current[along]) * sign;
      const cost = ahead + 2 * Math.abs(mark[aside] - current[aside]);
      if (ahead > 0 && cost < bound) { best = mark; bound = cost; }
    }
    if (best) { show(best); status.textContent = best.name + ", " + best.path; }
  });

  // Labels to single out.
  const legend = section.querySelector(".legend");
  const buttons = [...legend.querySelectorAll("li button")];
  const all = legend.querySelector(".all");
  const search = legend.querySelector("input");
  for (const hidden of section.querySelectorAll(".hint, .choose, input")) hidden.hidden = false;
  const layer = svg.querySelector(".points");
  // Chosen labels never share a colour while there are enough: the later one changes to a free one.
  const coloured = [...svg.querySelectorAll("[data-label]")].concat(buttons.map((b) => b.parentNode));
  const labelOf = (item) => (item.dataset.label || item.querySelector("button").dataset.label);
  for (const item of coloured) item.dataset.own = [...item.classList].find((c) => /^(c\d|other)$/.test(c));
  const own = new Map(coloured.map((item) => [labelOf(item), item.dataset.own]));
  function recolour(chosen) {
    const colours = new Map(), free = new Set(["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]);
    for (const label of chosen) if (free.delete(own.get(label))) colours.set(label, own.get(label));
    for (const label of chosen) {
      if (colours.has(label) || !free.size) continue;
      const [next] = free;
      free.delete(next);
      colours.set(label, next);
    }
    for (const item of coloured) {
      item.classList.remove("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "other");
      item.classList.add(colours.get(labelOf(item)) || item.dataset.own);
    }
  }
  function choose() {
    const chosen = new Set(buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.label));
    recolour([...chosen]);
    for (const item of svg.querySelectorAll("[data-label]")) {
      const on = chosen.has(item.dataset.label);
      item.classList.toggle("faded", chosen.size > 0 && !on);
      item.classList.toggle("chosen", on);
      if (on && item.parentNode === layer) layer.append(item);
    }
    all.hidden = chosen.size === 0;
    show(null);
  }
  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      choose();
    });
  }
  all.addEventListener("click", () => {
    for (const button of buttons) button.setAttribute("aria-pressed", "false");
    choose();
    (search || buttons[0]).focus({ preventScroll: true });
  });
  if (search) search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const button of buttons) {
      button.parentNode.hidden = !button.querySelector("bdi").textContent.toLowerCase().includes(wanted);
    }
  });
})();
