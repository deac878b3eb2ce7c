const form = document.getElementById("oc-passkey");
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const d = form.dataset;
const challenge = bytes(d.challenge);
let waiting;

async function ask(mediation) {
  waiting?.abort();
  waiting = new AbortController();
  const common = { signal: waiting.signal };
  let key;
  if (d.make) {
    key = await navigator.credentials.create({ ...common, publicKey: {
      challenge, rp: { id: d.site, name: d.product }, user: { id: bytes(d.handle), name: d.user, displayName: d.display },
      pubKeyCredParams: d.make.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
      excludeCredentials: d.have.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" }, attestation: "none",
    } });
  } else {
    key = await navigator.credentials.get({ ...common, mediation, publicKey: { challenge, rpId: d.site, userVerification: "required" } });
  }
  const r = key.response;
  const fill = { id: key.rawId, client: r.clientDataJSON, auth: d.make ? r.getAuthenticatorData() : r.authenticatorData };
  if (d.make) fill.public = r.getPublicKey();
  else Object.assign(fill, { signature: r.signature, handle: r.userHandle });
  for (const name in fill) form.elements[name].value = text(fill[name]);
  form.submit();
}

if (window.PublicKeyCredential) {
  form.hidden = false;
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    ask().catch(() => {}); // the browser has said why
  });
  if (!d.make) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => can && ask("conditional")).catch(() => {});
  }
}
