// Two sliders move which tile of each sprite a page shows, and the text that says what it is.
document.addEventListener("DOMContentLoaded", () => {
  for (const play of document.querySelectorAll(".play")) {
    const texts = JSON.parse(play.dataset.texts);
    const place = play.querySelector(".place");
    const sample = play.querySelector(".sample");
    const output = play.querySelector("output");
    const show = () => {
      play.style.setProperty("--column", place.value);
      play.style.setProperty("--row", sample.value);
      const text = texts[sample.value][place.value];
      sample.setAttribute("aria-valuetext", text);
      place.setAttribute("aria-valuetext", text);
      output.textContent = text;
    };
    play.querySelector(".controls").hidden = false;
    place.addEventListener("input", show);
    sample.addEventListener("input", show);
    show();
  }
});
