import { useEffect, useRef, useState } from "preact/hooks";
import { logIn, wantsLogin } from "./api";
import { t } from "./i18n";

export function Login() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    if (wantsLogin.value && !dialog.current!.open) dialog.current!.showModal();
    if (!wantsLogin.value) dialog.current!.close();
  }, [wantsLogin.value]);
  return (
    <dialog ref={dialog} aria-labelledby="login-title" onClose={() => { wantsLogin.value = false; }}>
      <form onSubmit={(e) => { e.preventDefault(); logIn(token.trim()).then(() => { setToken(""); setError(""); }).catch((x: Error) => setError(x.message)); }}>
        <h2 id="login-title">{t("loginTitle")}</h2>
        <p>{t("loginHelp")}</p>
        <label>{t("token")} <input type="password" name="token" required autocomplete="current-password" value={token} onInput={(e) => setToken(e.currentTarget.value)} /></label>
        <p class="error" role="alert">{error}</p>
        <div class="row"><button>{t("logIn")}</button><button type="button" class="quiet" onClick={() => { wantsLogin.value = false; }}>{t("cancel")}</button></div>
      </form>
    </dialog>
  );
}
