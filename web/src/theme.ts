import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const stored = localStorage.getItem("tocsin.theme");
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "auto");

export function setTheme(value: Theme): void {
  theme.value = value;
  localStorage.setItem("tocsin.theme", value);
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}

/** A colour of the style sheet: charts are drawn on a canvas, which knows no CSS. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
