// What a page gains from JavaScript: counters that move, times that stay true,
// and buttons that copy. Every page works without it.
"use strict";

const group = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

// Counters: ask for the summary while the page is visible. An unchanged one is
// answered with 304 and costs nothing.
const live = document.querySelector("[data-live]");
if (live) {
  const poll = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(live.dataset.live, { cache: "no-cache" });
      if (!response.ok) return;
      const summary = await response.json();
      for (const element of document.querySelectorAll("[data-count]")) {
        const value = summary[element.dataset.count];
        if (typeof value !== "number") continue;
        const text = group(value);
        if (element.textContent === text) continue;
        element.textContent = text;
        element.classList.remove("moved");
        void element.offsetWidth; // restarts the animation
        element.classList.add("moved");
      }
    } catch {
      // The network is away. The next round may find it again.
    }
  };
  setInterval(poll, 5000);
  document.addEventListener("visibilitychange", poll);
}

// Times: the same words as the server's.
const units = [["year", 31536e3], ["month", 2592e3], ["day", 86400], ["hour", 3600], ["minute", 60]];
const ago = (seconds) => {
  for (const [name, length] of units) {
    const n = Math.floor(Math.abs(seconds) / length);
    if (n >= 1) {
      const text = n + " " + name + (n === 1 ? "" : "s");
      return seconds < 0 ? "in " + text : text + " ago";
    }
  }
  return "just now";
};
setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.querySelector(".ago").textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}, 30000);

// Copying: only where the browser lets a page do it.
if (navigator.clipboard) {
  for (const source of document.querySelectorAll("[data-copy]")) {
    const text = source.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    if (source.tagName === "PRE") {
      source.parentNode.insertBefore(button, source);
    } else {
      source.append(" ", button);
    }
  }
}
