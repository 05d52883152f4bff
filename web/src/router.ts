// The page is in the hash: #/incident/I-1, #/explore?expr=…
import { signal } from "@preact/signals";

export interface Place { screen: string; id: string; query: URLSearchParams }

function read(): Place {
  // "/#/explore" and "#/explore" are the same place.
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [screen = "", id = ""] = path.split("/");
  return { screen: screen || "now", id: decodeURIComponent(id), query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
addEventListener("hashchange", () => { place.value = read(); });

export function go(screen: string, query: Record<string, string> = {}): void {
  const text = new URLSearchParams(query).toString();
  location.hash = `#/${screen}${text ? `?${text}` : ""}`;
}
