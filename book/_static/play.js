// A slider along a forgotten direction: it moves which tile of each sprite a page shows.
document.addEventListener("DOMContentLoaded", () => {
  for (const play of document.querySelectorAll(".play")) {
    const places = JSON.parse(play.dataset.places);
    const threshold = Number(play.dataset.threshold);
    const place = play.querySelector(".place");
    const sample = play.querySelector(".sample");
    const output = play.querySelector("output");
    const show = () => {
      play.style.setProperty("--column", place.value);
      play.style.setProperty("--row", sample.value);
      const projection = places[place.value];
      const border = `the threshold ${threshold.toFixed(2)}`;
      const isAbove = projection >= threshold;
      const side = isAbove ? `above ${border}: the edited and the unlearned image should differ from the original` : `below ${border}: all should agree`;
      const text = `projection ${projection.toFixed(2)}, ${side}`;
      const which = `sample ${Number(sample.value) + 1} of ${Number(sample.max) + 1}`;
      sample.setAttribute("aria-valuetext", which);
      place.setAttribute("aria-valuetext", text);
      output.textContent = `${which}, ${text}`;
    };
    play.querySelector(".controls").hidden = false;
    place.addEventListener("input", show);
    sample.addEventListener("input", show);
    show();
  }
});
