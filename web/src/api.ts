// Talking to the daemon: typed fetch, the browser session, live events.
import { signal } from "@preact/signals";
import type { Sample, Series } from "./types";

export interface Session { user: string; role: string; csrf: string }
export const session = signal<Session | null>(null);
export const wantsLogin = signal(false);
/** Reads fail for want of the daemon? Shown as a banner: blind is not healthy. */
export const isOffline = signal(false);

export class ApiError extends Error {
  constructor(readonly status: number, message: string) { super(message); }
}

const T = "/api/tocsin/v1";

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...init });
  } catch (e) {
    if ((e as Error).name !== "AbortError") isOffline.value = true;
    throw e;
  }
  isOffline.value = false;
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = text;
  try {
    const body = JSON.parse(text);
    message = body.detail ?? body.error ?? text;
  } catch { /* not JSON: the text itself */ }
  if (answer.status === 401 && init.method && init.method !== "GET") wantsLogin.value = true;
  throw new ApiError(answer.status, message);
}

export async function get<R>(path: string, abort?: AbortSignal): Promise<R> {
  return (await request(T + path, { signal: abort })).json();
}

export async function getText(path: string): Promise<string> {
  return (await request(T + path)).text();
}

function changeHeaders(): HeadersInit {
  return { "Content-Type": "application/json", "X-Tocsin-CSRF": session.value?.csrf ?? "" };
}

export async function post<R>(path: string, body: unknown = {}): Promise<R> {
  const answer = await request(T + path, { method: "POST", headers: changeHeaders(), body: JSON.stringify(body) });
  return answer.status === 204 ? (undefined as R) : answer.json();
}

export async function alertmanager<R>(method: string, path: string, body?: unknown): Promise<R> {
  const answer = await request("/api/v2" + path,
    { method, headers: method === "GET" ? {} : changeHeaders(), body: body ? JSON.stringify(body) : undefined });
  const text = await answer.text();
  return (text ? JSON.parse(text) : undefined) as R;
}

export async function restoreSession(): Promise<void> {
  const answer = await fetch(T + "/session", { credentials: "same-origin" }).catch(() => null);
  session.value = answer?.ok ? await answer.json() : null;
}

export async function logIn(token: string): Promise<void> {
  session.value = await post<Session>("/session", { token });
  wantsLogin.value = false;
}

export async function logOut(): Promise<void> {
  await request(T + "/session", { method: "DELETE", headers: changeHeaders() });
  session.value = null;
}

async function prometheus<R>(path: string, parameters: Record<string, string>, abort?: AbortSignal): Promise<R> {
  const answer = await request(`/api/v1/${path}`, { method: "POST", body: new URLSearchParams(parameters), signal: abort });
  return (await answer.json()).data;
}

export async function queryRange(query: string, startS: number, endS: number, stepS: number, abort?: AbortSignal): Promise<Series[]> {
  const data = await prometheus<{ result: Series[] }>("query_range",
    { query, start: String(startS), end: String(endS), step: String(stepS) }, abort);
  return data.result;
}

export async function queryInstant(query: string, abort?: AbortSignal): Promise<{ resultType: string; result: Sample[] | [number, string] }> {
  return prometheus("query", { query }, abort);
}

export async function prometheusGet<R>(path: string): Promise<R> {
  return (await (await request(`/api/v1/${path}`)).json()).data;
}

type Listener = (type: string, data: unknown) => void;
const listeners = new Set<Listener>();
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => { listeners.delete(listener); };
}

export function listenForEvents(): void {
  const source = new EventSource(T + "/events");
  for (const type of ["incident", "alert", "status", "finding", "lost"]) {
    source.addEventListener(type, (e) => {
      const data = JSON.parse((e as MessageEvent).data);
      listeners.forEach((l) => l(type, data));
    });
  }
}
