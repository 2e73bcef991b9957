// Opens details for printing, except whole prompts and folded findings (hundreds of sentences, which results.json has
// too); opens details when a link points into them; copies a command.
const all = () => document.querySelectorAll("details");
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...all()].filter(d => !d.open && !d.matches(".prompt, .folded"));
  closed.forEach(d => d.open = true);
});
addEventListener("afterprint", () => closed.forEach(d => d.open = false));
const show = () => {
  const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  let opened = false;
  for (let box = at && (at.matches("details") ? at : at.closest("details")); box; box = box.parentElement.closest("details"))
    if (!box.open) opened = box.open = true;
  if (opened) at.scrollIntoView();
};
addEventListener("hashchange", show); show();
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try { await navigator.clipboard.writeText(code.textContent) } catch {  // a browser that keeps it from local files
      getSelection().selectAllChildren(code); document.execCommand("copy");
    }
    button.textContent = "Copied"; setTimeout(() => button.textContent = "Copy", 2000);
  });
}
