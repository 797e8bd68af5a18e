"""Style and script of the HTML report: they are part of the page, which loads nothing."""

from __future__ import annotations

from typing import Final

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser may do with the page: nothing from outside."""

STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 1180px; padding: 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p.note, figcaption { color: #555; margin: .2rem 0 .8rem; font-size: .9rem; }
.front { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.front figure { margin: 0; } svg text { font: 12px system-ui, sans-serif; fill: #222; }
svg .grid { stroke: #e4e4e4; } svg .frame { stroke: #777; } svg .bar { stroke: #9fb6c4; stroke-width: 1; }
svg .step { fill: none; stroke: #d55e00; stroke-width: 1.5; }
svg .point { cursor: pointer; } svg .front-point { fill: #d55e00; stroke: #fff; } svg .dominated { fill: #0072b2; }
svg .broken { fill: #fff; stroke: #777; } svg .analytical { fill: #bfc7cc; }
svg .on, svg .point:focus { stroke: #000; stroke-width: 2.5; outline: none; }
#details { border: 1px solid #ccc; border-radius: 6px; padding: .6rem .8rem; min-width: 17rem; max-width: 24rem; }
#details dl { display: grid; grid-template-columns: auto auto; gap: .1rem .8rem; margin: .4rem 0 0; }
dt { color: #555; overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; margin: 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
th.text, td.text { text-align: left; } th button { font: inherit; font-weight: 600; border: 0; background: none; }
th button { cursor: pointer; padding: 0; } th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; } tr.on td { background: #fff1e6; }
img { max-width: 100%; height: auto; display: block; }
"""

SCRIPT: Final = """
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("points").textContent);
  var details = document.getElementById("details");
  var pinned = null;
  function element(name, text) {
    var made = document.createElement(name);
    made.textContent = text;
    return made;
  }
  function show(index) {
    var point = data.points[index];
    var list = document.createElement("dl");
    function line(name, text) {
      list.appendChild(element("dt", name));
      list.appendChild(element("dd", text));
    }
    data.parameters.forEach(function (name, i) { if (point[2][i] !== "") { line(name, point[2][i]); } });
    data.objectives.forEach(function (name, i) { line(name, point[3][i]); });
    details.replaceChildren(element("strong", "Point " + point[0] + ", " + data.kinds[point[1]]), list);
    document.querySelectorAll(".on").forEach(function (each) { each.classList.remove("on"); });
    document.querySelectorAll("[data-i='" + index + "']").forEach(function (each) { each.classList.add("on"); });
  }
  function indexOf(target) {
    var found = target instanceof Element ? target.closest("[data-i]") : null;
    return found === null ? null : found.getAttribute("data-i");
  }
  document.addEventListener("pointerover", function (event) {
    var index = indexOf(event.target);
    if (index !== null && pinned === null) { show(index); }
  });
  document.addEventListener("focusin", function (event) {
    var index = indexOf(event.target);
    if (index !== null) { pinned = null; show(index); }
  });
  document.addEventListener("click", function (event) {
    var index = indexOf(event.target);
    if (index !== null) { show(index); }
    pinned = index;
  });
  document.querySelectorAll("th button").forEach(function (button) {
    button.addEventListener("click", function () {
      var head = button.parentElement, row = head.parentElement;
      var column = Array.prototype.indexOf.call(row.children, head);
      var down = head.getAttribute("aria-sort") === "ascending";
      Array.prototype.forEach.call(row.children, function (each) { each.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      var body = row.parentElement.parentElement.tBodies[0];
      function key(line) { return line.children[column].getAttribute("data-key"); }
      Array.prototype.slice.call(body.rows).sort(function (a, b) {
        var x = key(a), y = key(b), p = parseFloat(x), q = parseFloat(y);
        var order = isNaN(p) || isNaN(q) ? x.localeCompare(y) : p - q;
        return down ? -order : order;
      }).forEach(function (line) { body.appendChild(line); });
    });
  });
}());
"""
