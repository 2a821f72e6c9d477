// Light, dark, or as the system has it. Not a module, so that it runs before the page is drawn.
"use strict";

(() => {
  const CHOICES = ["system", "light", "dark"];
  const KEY = "swell-theme";

  function remembered() {
    try {
      const choice = localStorage.getItem(KEY);
      return CHOICES.includes(choice) ? choice : "system";
    } catch {
      return "system"; // a browser may forbid it
    }
  }

  function remember(choice) {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // it lasts as long as the page
    }
  }

  let choice = remembered();
  document.documentElement.dataset.theme = choice;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      document.documentElement.dataset.theme = choice;
      button.textContent = `Theme: ${choice}`;
    };
    button.addEventListener("click", () => {
      choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      remember(choice);
      show();
    });
    show();
  });
})();
