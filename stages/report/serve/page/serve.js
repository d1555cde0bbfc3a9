"use strict";

const part = (id) => document.getElementById(id);
const drop = part("drop"), shown = part("shown"), video = part("video"), status = part("status"), camera = part("camera");
let asked = 0; // the number of the latest question: answers to earlier ones are late
let stream = null;

part("curl").textContent = `curl --data-binary @photo.jpg '${location.origin}/predict?top=3'`;

function fail(text) {
  status.className = "wrong";
  status.textContent = text;
  part("bars").replaceChildren();
  part("seen-figure").hidden = true;
}

function percent(p) {
  return p > 0.9995 && p < 1 ? ">99.9%" : `${(100 * p).toFixed(1)}%`;
}

function show(answer) {
  const best = answer.classes[0];
  status.className = "";
  const name = document.createElement("b");
  name.textContent = best.class;
  const time = answer.milliseconds < 1 ? "less than 1" : answer.milliseconds.toFixed(0);
  status.replaceChildren(name, ` ${percent(best.probability)}, in ${time} ms`);
  part("bars").replaceChildren(...answer.classes.map((c) => {
    const row = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
    const track = document.createElement("span"), bar = document.createElement("i");
    term.textContent = term.title = c.class;
    bar.style.width = `${100 * c.probability}%`;
    track.append(bar);
    value.append(track, percent(c.probability));
    row.append(term, value);
    return row;
  }));
  part("seen").src = answer.seen;
  part("seen-figure").hidden = false;
}

// Asks what a picture shows. quiet leaves the earlier answer until the new one is there.
async function ask(picture, quiet) {
  const number = ++asked;
  if (!quiet) {
    status.className = "";
    status.textContent = "Looking…";
  }
  try {
    const response = await fetch("predict?seen=1&top=8", { method: "POST", body: picture, headers: { "Content-Type": "application/octet-stream" } });
    const answer = response.headers.get("Content-Type").startsWith("application/json") ? await response.json() : { error: await response.text() };
    if (number !== asked) return;
    if (response.ok) show(answer);
    else fail(answer.error);
  } catch (err) {
    if (number === asked) fail("The server does not answer; was it ended?");
  }
}

function look(file) {
  if (!file) return;
  stop();
  if (shown.src) URL.revokeObjectURL(shown.src);
  shown.src = URL.createObjectURL(file);
  shown.alt = file.name || "the picture";
  shown.hidden = false;
  shown.onerror = () => { shown.hidden = true; part("hint").hidden = false; }; // the server may still read it
  part("hint").hidden = true;
  drop.classList.add("full");
  ask(file);
}

part("file").addEventListener("change", (event) => {
  look(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  look(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => look(event.clipboardData.files[0]));

function stop() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  asked++;
  video.hidden = true;
  video.srcObject = null;
  part("hint").hidden = false;
  drop.classList.remove("full");
  camera.textContent = "Use the camera";
}

// Asks again and again what the camera sees, one picture at a time.
async function watch() {
  const canvas = document.createElement("canvas");
  while (stream) {
    if (video.videoWidth > 0) {
      const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
      if (stream && picture) await ask(picture, true);
    }
    await new Promise((done) => setTimeout(done, 200));
  }
}

camera.addEventListener("click", async () => {
  if (stream) {
    stop();
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (err) {
    fail(err.name === "NotFoundError" ? "There is no camera." : "The camera may not be used; allow it in the browser.");
    return;
  }
  shown.hidden = true;
  part("hint").hidden = true;
  drop.classList.add("full");
  video.srcObject = stream;
  video.hidden = false;
  camera.textContent = "Stop the camera";
  await video.play();
  watch();
});
