addEventListener("message", async (e) => {
  const answer = (text) => e.source.postMessage(text, e.origin);
  const [, client, state] = /^(\S+) ([0-9a-f]{64}\.\S+)$/.exec(e.data) || [];
  if (!client || !crypto.subtle) return answer("error");
  const cookie = document.cookie.split("; ").find((c) => c.startsWith("COOKIE="));
  if (!cookie) return answer("changed");
  const salt = state.slice(65);
  const text = [client, e.origin, cookie.slice("COOKIE=".length), salt].join(" ");
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const hex = Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("");
  answer(hex + "." + salt === state ? "unchanged" : "changed");
});
