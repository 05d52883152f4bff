import { render } from "preact";
import { useEffect } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { isOffline, listenForEvents, logOut, restoreSession, session, wantsLogin } from "./api";
import { language, setLanguage, t, type Key, type Language } from "./i18n";
import { Login } from "./login";
import { go, place } from "./router";
import { Alerts } from "./screens/alerts";
import { Dashboards } from "./screens/dashboards";
import { Detectors } from "./screens/detectors";
import { Explore } from "./screens/explore";
import { Incident } from "./screens/incident";
import { Incidents } from "./screens/incidents";
import { Learning } from "./screens/learning";
import { Now } from "./screens/now";
import { Runs } from "./screens/runs";
import { Thresholds } from "./screens/thresholds";
import { applyTheme, setTheme, theme, type Theme } from "./theme";

const MENU: Key[] = ["now", "incidents", "alerts", "detectors", "thresholds", "learning", "runs", "dashboards", "explore"];

function Header() {
  return (
    <header>
      <a class="skip" href="#content" onClick={(e) => { e.preventDefault(); document.getElementById("content")?.focus(); }}>{t("skip")}</a>
      <a class="brand" href="#/now"><img src="/favicon.svg" alt="" width="24" height="24" /> Tocsin</a>
      <nav aria-label={t("mainMenu")}>{MENU.map((k) => <a key={k} href={`#/${k}`} aria-current={place.value.screen === k ? "page" : undefined}>{t(k)}</a>)}</nav>
      <div class="settings">
        <label><span class="hidden">{t("language")}</span><select name="language" value={language.value} onChange={(e) => setLanguage(e.currentTarget.value as Language)}>
          <option value="en">English</option><option value="zh">简体中文</option></select></label>
        <label><span class="hidden">{t("theme")}</span><select name="theme" value={theme.value} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
          <option value="auto">{t("themeAuto")}</option><option value="light">{t("themeLight")}</option><option value="dark">{t("themeDark")}</option></select></label>
        {session.value ? <button type="button" class="quiet" onClick={() => logOut()}>{t("logOut")} ({session.value.user})</button>
          : <button type="button" class="quiet" data-action="login" onClick={() => { wantsLogin.value = true; }}>{t("logIn")}</button>}
      </div>
    </header>
  );
}

function Screen() {
  const p = place.value;
  switch (p.screen) {
    case "now": return <Now />;
    case "incidents": return <Incidents />;
    case "incident": return <Incident key={p.id} id={p.id} />;
    case "dashboards": return <Dashboards query={p.query} />;
    case "explore": return <Explore query={p.query} />;
    case "alerts": return <Alerts />;
    case "detectors": return <Detectors name={p.id} query={p.query} />;
    case "thresholds": return <Thresholds />;
    case "learning": return <Learning />;
    case "runs": return <Runs />;
    default: return <p>{t("notFound")}</p>;
  }
}

/** "g" then a letter goes to a screen, "/" to the expression. */
function useShortcuts() {
  useEffect(() => {
    let afterG = false;
    const onKey = (e: KeyboardEvent) => {
      const target = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
      const screens: Record<string, string> = { n: "now", i: "incidents", a: "alerts", d: "detectors", t: "thresholds", l: "learning", r: "runs", b: "dashboards", e: "explore" };
      if (afterG && screens[e.key]) go(screens[e.key]);
      else if (e.key === "/") { e.preventDefault(); go("explore"); setTimeout(() => document.getElementById("expr")?.focus(), 50); }
      afterG = e.key === "g";
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

function App() {
  useShortcuts();
  useEffect(() => { document.title = `${t(MENU.find((k) => k === place.value.screen) ?? "incidents")} · Tocsin`; }, [place.value.screen, language.value]);
  return (
    <>
      <Header />
      {isOffline.value && <p class="banner" role="alert">{t("offline")}</p>}
      <main id="content" tabIndex={-1}><Screen /></main>
      <Login />
    </>
  );
}

applyTheme();
setLanguage(language.value);
restoreSession();
listenForEvents();
render(<App />, document.getElementById("app")!);
