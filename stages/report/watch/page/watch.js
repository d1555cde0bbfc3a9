// Replaces each part of the page that the server says has changed.
"use strict";
const connection = document.getElementById("connection");
const source = new EventSource("events");
source.addEventListener("part", (e) => {
  const part = JSON.parse(e.data);
  const section = document.getElementById(part.id);
  if (!section) return;
  const log = section.querySelector(".log");
  const scroll = log ? log.scrollTop : 0;
  section.innerHTML = part.html;
  section.hidden = part.html === "";
  const now = section.querySelector(".log");
  if (now) now.scrollTop = scroll;
});
source.addEventListener("open", () => { connection.textContent = "live"; });
source.addEventListener("error", () => { connection.textContent = "not connected"; });
