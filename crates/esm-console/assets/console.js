// Keeps the page up to date, and gives commands. Everything is rendered on the server; without this
// script a page shows the newest numbers of the moment at which it was loaded.
"use strict";

(() => {
  const STALE_AFTER = 10; // seconds
  const POLL = 5000; // milliseconds
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const parse = parser();

  // ---- one place turns text into elements: what this very server has sent ----
  function parser() {
    const rules = { createHTML: (text) => text };
    const policy = window.trustedTypes ? window.trustedTypes.createPolicy("esm", rules) : rules;
    return (text) =>
      new DOMParser().parseFromString(policy.createHTML(`<main>${text}</main>`), "text/html")
        .querySelector("main");
  }

  // ---- changes elements to what others are; keeps those that are the same ----
  function key(node) {
    return node.nodeType === 1 ? node.dataset.key || node.id || null : null;
  }
  function alike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);
  }
  function become(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    // a dialog may be open, and what is typed stays
    if (old.hasAttribute("data-static") && old.open) return;
    attributes(old, fresh);
    // a time shows its age instead
    if (old.nodeName === "TIME") old.dataset.text = fresh.textContent;
    else children(old, fresh);
  }
  function attributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      const kept = name === "open" || name === "hidden" || name === "title" || name === "data-text";
      if (!fresh.hasAttribute(name) && !kept) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name === "hidden" && old.classList.contains("copy")) continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }
  function children(old, fresh) {
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      let found = at;
      if (at && !alike(at, wanted) && key(wanted)) {
        found = [...old.children].find((child) => alike(child, wanted)) || at;
      }
      if (found && alike(found, wanted)) {
        if (found !== at) old.insertBefore(found, at);
        else at = at.nextSibling;
        become(found, wanted);
      } else {
        old.insertBefore(wanted, at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      // in an open dialog an answer may be read, or be about to come
      if (!(at.nodeType === 1 && at.querySelector("dialog[open]"))) at.remove();
      at = next;
    }
  }
  function show(text) {
    children(main, parse(text));
    decorate(main);
  }

  // ---- ages: by the server's clock, which may differ from this one ----
  let ahead = 0; // the server's clock is so many milliseconds ahead
  function now() {
    return Date.now() + ahead;
  }
  function ago(seconds) {
    if (seconds < 0) return "just now";
    if (seconds < 90) return `${seconds} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
    return `${Math.round(seconds / 86400)} days ago`;
  }
  function ages() {
    const seconds = Math.floor(now() / 1000);
    for (const time of main.querySelectorAll("time[data-seconds]")) {
      if (!time.dataset.text) time.dataset.text = time.textContent;
      const text = ago(seconds - Number(time.dataset.seconds));
      if (time.textContent !== text) time.textContent = text;
      time.title = time.dataset.text;
    }
    connection();
  }

  // ---- live ----
  let heardAt = 0; // when the newest answer came, by this clock
  let times = null; // when the server had read it, its time then, and whether the store answers
  let source = null;
  let failures = 0;
  let polling = null;
  let signedOut = false;

  function connection() {
    if (!live || !times) return;
    // without numbers of a store there is only the connection
    const age = times.read === null ? 0 : Math.floor((now() - times.read) / 1000);
    const isCut = Date.now() - heardAt > STALE_AFTER * 1000;
    let [state, text] = ["on", polling ? "polling" : "live"];
    if (times.read !== null) text += `, ${ago(age)}`;
    if (age > STALE_AFTER) [state, text] = ["old", `as of ${ago(age)}`];
    if (times.stale) [state, text] = ["off", `the store does not answer: as of ${ago(age)}`];
    if (isCut) [state, text] = ["off", `not connected: as of ${ago(age)}`];
    if (signedOut) [state, text] = ["off", "signed out: open the new link of the console"];
    if (live.textContent !== text) live.textContent = text;
    live.className = `live ${state}`;
  }
  function heard(text) {
    times = JSON.parse(text);
    ahead = times.now - Date.now();
    heardAt = Date.now();
    failures = 0;
    ages();
  }
  function here() {
    return location.pathname + location.search;
  }
  function listen() {
    if (source || document.hidden) return;
    source = new EventSource(`/events?path=${encodeURIComponent(here())}`);
    source.addEventListener("seen", (event) => { stopPolling(); heard(event.data); });
    source.addEventListener("page", (event) => show(event.data));
    source.onerror = () => {
      failures += 1;
      connection();
      // browsers connect again by themselves, unless the answer was no stream
      if (source && source.readyState === EventSource.CLOSED) hush();
      if (failures >= 3 || !source) poll();
    };
  }
  function hush() {
    if (source) source.close();
    source = null;
  }
  function stopPolling() {
    clearInterval(polling);
    polling = null;
  }
  function poll() {
    if (polling) return;
    polling = setInterval(async () => {
      if (document.hidden) return;
      try {
        const response = await fetch(here(), { headers: { accept: "text/html" } });
        signedOut = response.status === 401;
        if (signedOut) return connection();
        const page = parse(await response.text());
        const fresh = page.querySelector("#main");
        if (!fresh) return;
        children(main, fresh);
        decorate(main);
        heard(fresh.dataset.live);
        if (!source) listen();
      } catch {
        connection();
      }
    }, POLL);
  }
  // a hidden tab holds no connection: browsers allow few of them to one server
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  window.addEventListener("pagehide", hush);

  // ---- copies commands ----
  function decorate(root) {
    if (navigator.clipboard) {
      for (const button of root.querySelectorAll("button.copy[hidden]")) button.hidden = false;
    }
    ages();
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } else if (button.dataset.dialog) {
      const dialog = document.getElementById(`dialog-${button.dataset.dialog}`);
      if (!dialog) return;
      // what was typed before must not confirm anything now
      dialog.querySelectorAll("form").forEach((form) => form.reset());
      dialog.showModal();
    } else if (button.hasAttribute("data-close")) {
      button.closest("dialog").close();
    }
  });

  // ---- explanations: one at a time, and Escape closes it ----
  document.addEventListener("toggle", (event) => {
    const opened = event.target;
    if (!opened.open || !opened.matches("details.term")) return;
    for (const other of document.querySelectorAll("details.term[open]")) {
      if (other !== opened) other.open = false;
    }
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const term of document.querySelectorAll("details.term[open]")) term.open = false;
    }
    const typing = event.target.closest("input, textarea, select, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      const search = document.getElementById("q");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  // ---- gives commands ----
  function asked(form) {
    const body = Object.fromEntries(new FormData(form));
    const settings = form.querySelectorAll("[data-setting]");
    if (settings.length) body.settings = {};
    for (const input of settings) {
      const value = input.value.trim();
      delete body[input.name];
      if (value === input.dataset.before) continue;
      body.settings[input.name] = value === "unlimited" ? value : Number(value);
    }
    return body;
  }
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.post) return;
    event.preventDefault();
    const problem = form.querySelector("[role=alert]");
    const submit = form.querySelector("[type=submit]");
    const say = (text) => { problem.textContent = text; problem.hidden = false; };
    submit.disabled = true;
    try {
      const response = await fetch(form.dataset.post, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(asked(form)),
      });
      const answer = await response.json();
      if (!response.ok) {
        const hint = answer.error.hint ? ` (${answer.error.hint})` : "";
        say(answer.error.message + hint);
      } else if (answer.refused) {
        say(answer.text);
      } else {
        form.reset();
        problem.hidden = true;
        const dialog = form.closest("dialog");
        if (dialog) dialog.close(answer.text);
      }
    } catch {
      say("The console did not answer. Whether the command was given is shown below “Commands”.");
    } finally {
      submit.disabled = false;
    }
  });

  // ---- begins ----
  function code() {
    return new URLSearchParams(location.hash.slice(1)).get("code");
  }
  // a new link differs from the address only behind the #, which loads nothing by itself
  window.addEventListener("hashchange", () => { if (code()) location.reload(); });
  const signIn = document.getElementById("sign-in");
  const given = code();
  if (given) history.replaceState(null, "", here());
  if (signIn && given) {
    signIn.elements.code.value = given;
    signIn.submit();
  } else if (main && main.hasAttribute("data-live")) {
    heard(main.dataset.live);
    decorate(main);
    listen();
    setInterval(ages, 1000);
  }
})();
