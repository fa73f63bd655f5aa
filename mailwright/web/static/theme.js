// Light, dark or as the system has it. Loaded before the page is drawn, so that it never flashes in the other colours.
(() => {
  const root = document.documentElement;
  const key = "mailwright-theme";
  const media = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(key) || "system";
    } catch {
      return "system";
    }
  }

  function apply() {
    const choice = chosen();
    root.dataset.theme = choice === "system" ? (media.matches ? "dark" : "light") : choice;
    document.querySelectorAll("[data-theme-choice]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    });
    document.dispatchEvent(new Event("mailwright:theme"));
  }

  root.classList.add("js");
  apply();
  media.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      localStorage.setItem(key, button.dataset.themeChoice);
    } catch {
      // Private windows may refuse storage; the choice then lasts for this page.
    }
    root.dataset.theme = button.dataset.themeChoice;
    apply();
  });

  // On a phone the menu of more pages closes by Escape, which gives the focus back, and by a tap elsewhere.
  const menu = () => document.querySelector(".more-pages[open]");
  document.addEventListener("click", (event) => menu()?.contains(event.target) || menu()?.removeAttribute("open"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu()) return;
    menu().querySelector("summary").focus();
    menu().removeAttribute("open");
  });

  // A select or checkbox with data-submit sends its form when changed; without JavaScript the form has a button.
  document.addEventListener("change", (event) => event.target.closest("[data-submit]")?.form.requestSubmit());
})();
