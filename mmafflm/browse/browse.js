"use strict";
const filters = document.querySelector(".filters");  // beside the records; on a phone above them, and folded
const narrow = matchMedia("(max-width: 52rem)");
const fold = () => { filters.open = !narrow.matches; };
narrow.addEventListener("change", fold);
fold();
for (const select of document.querySelectorAll("select")) {
  let byKey = false;  // an arrow key only passes by a value: Enter, or the button, asks for it
  select.addEventListener("keydown", () => { byKey = true; });
  select.addEventListener("pointerdown", () => { byKey = false; });
  select.addEventListener("change", () => byKey || select.form.requestSubmit());
}
document.addEventListener("keydown", event => {
  const rel = {ArrowLeft: "prev", ArrowRight: "next"}[event.key];
  if (rel && event.target === document.body && !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey))
    document.querySelector(`a[rel=${rel}]`)?.click();
});
for (const form of document.forms)  // an address of what was asked, without what was not
  form.addEventListener("submit", () => {
    for (const field of form.elements) field.disabled = field.name !== "" && field.value === "";
    setTimeout(() => { for (const field of form.elements) field.disabled = false; });
  });
for (const clip of document.querySelectorAll("figure.clip")) {
  const [picture, button, slider, said] = ["img", "button", "input", "output"].map(name => clip.querySelector(name));
  const count = Number(clip.dataset.frames);
  const address = at => `${clip.dataset.address}/${Number(clip.dataset.first) + at}`;
  const kept = [];  // fetched once the clip is touched, not before
  const load = () => { for (let at = kept.length; at < count; at++) (kept[at] = new Image()).src = address(at); };
  const show = at => { load(); picture.src = address(at); slider.value = at + 1; said.value = `${at + 1} of ${count}`; };
  let playing = 0;
  const stop = () => { clearInterval(playing); playing = 0; button.textContent = "play"; };
  const step = () => { const at = Number(slider.value); at < count ? show(at) : stop(); };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value) - 1); });
  button.addEventListener("click", () => {
    if (playing) return stop();
    show(Number(slider.value) < count ? Number(slider.value) - 1 : 0);
    playing = setInterval(step, Number(document.body.dataset.waitMs));
    button.textContent = "stop";
  });
}
