package idp

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// strict is a house in which ada, who is an administrator, needs two factors
// and bob does not.
func strict(t testing.TB, demand ...string) *house {
	t.Helper()
	opts := options(site)
	opts.Demand = demand
	h := houseAt(t, opts)
	h.promote(cloud.RoleAdmin)
	return h
}

func (h *house) promote(role string) {
	h.t.Helper()
	h.ada.Role = role
	if _, err := h.dir.SetUser(h.t.Context(), h.ada, ""); err != nil {
		h.t.Fatal(err)
	}
}

// step sends the form of a page that is half way to a sign-in.
func (h *house) step(page *httptest.ResponseRecorder, more ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	form := fields(page.Body.String())
	form.Del("answer")
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return h.do(post(secondPath, form))
}

func TestDemandOptions(t *testing.T) {
	admin, user := &cloud.User{ID: "a", Role: cloud.RoleAdmin}, &cloud.User{ID: "u", Role: cloud.RoleUser}
	for _, c := range []struct {
		demand      []string
		admin, user bool
	}{
		{nil, false, false}, {[]string{"none"}, false, false}, {[]string{"all"}, true, true}, {[]string{"admin", " spaceadmin"}, true, false},
		{[]string{cloud.RoleUser}, false, true}, {[]string{"admin", "user"}, true, true},
	} {
		p := new(Provider)
		var err error
		if p.demandAll, p.demandOf, err = parseDemand(c.demand); err != nil || p.demanded(admin) != c.admin || p.demanded(user) != c.user {
			t.Errorf("%q: admin %v, user %v, %v; want %+v", c.demand, p.demanded(admin), p.demanded(user), err, c)
		}
	}
	for _, bad := range [][]string{{"admins"}, {"none", "admin"}, {""}} {
		if _, _, err := parseDemand(bad); cloud.KindOf(err) != cloud.Invalid || !strings.Contains(cloud.Say(err), "IDP_MFA_REQUIRED") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Who has to have a second factor is led through setting up an app for codes,
// sees the codes for paper, and is signed in then and not before.
func TestDemandApp(t *testing.T) {
	h := strict(t, "admin")
	if w := h.signIn(ask(webID, callback), "bob", secret); w.Code != 303 {
		t.Errorf("bob, who needs none: %d", w.Code)
	}
	h.another()
	if !h.p.NeedsMore(h.ada) {
		t.Error("a password alone would do, with Basic")
	}
	out := func(what string, w *httptest.ResponseRecorder) {
		t.Helper()
		if n := len(h.p.live.Of(h.ada.ID)); w.Code == 303 || n != 0 {
			t.Errorf("%s: %d, %d sessions", what, w.Code, n)
		}
	}
	page := h.signIn(ask(webID, callback), "ada", secret)
	if out("password", page); !strings.Contains(page.Body.String(), "Protect your account") {
		t.Fatalf("got %s", page.Body)
	}
	out("nothing", h.step(page))
	out("a code of nothing", h.step(page, "code", "000000"))
	out("to the end", h.step(page, "answer", "done"))
	out("a wrong code", h.step(page, "answer", "confirm", "code", "000000"))
	enrol := h.step(page, "answer", "begin")
	out("begun", enrol)
	// The secret is ours, not the form's.
	out("another secret", h.step(enrol, "answer", "confirm", "secret", strings.Repeat("A", 32), "code", app(strings.Repeat("A", 32))))
	page = h.signIn(ask(webID, callback), "ada", secret)
	enrol = h.step(page, "answer", "begin")
	key := spaced(enrol.Body.String())
	papers := h.step(enrol, "answer", "confirm", "code", app(key))
	out("set up", papers)
	if got := len(paper.FindAllString(papers.Body.String(), -1)); got != totp.Papers {
		t.Fatalf("%d codes on paper, want %d: %s", got, totp.Papers, papers.Body)
	}
	// Whoever goes away now has the factor and is asked for it.
	if w := h.signIn(ask(webID, callback), "ada", secret); !strings.Contains(w.Body.String(), `id="oc-login-code"`) {
		t.Errorf("no code is asked for: %s", w.Body)
	}
	g := h.exchange(webID, callback, answer(t, h.step(papers, "answer", "done"), callback).Get("code"))
	if _, c := parts(t, g.ID); c["acr"] != "2" || !h.good(g) {
		t.Errorf("acr %v", c["acr"])
	}
	if w := h.step(papers, "answer", "done"); w.Code == 303 {
		t.Error("the last step works twice")
	}
	// It cannot be taken away again, but another may take its place.
	body := h.freshly("ada")
	if strings.Contains(body.Body.String(), `value="off"`) {
		t.Error("turning off is offered")
	}
	form := fields(body.Body.String())
	form.Set("answer", "off")
	form.Set("code", paper.FindStringSubmatch(papers.Body.String())[1])
	if w := h.do(post(securityPath, form)); w.Code != 403 || !h.p.factors.Has(h.ada.ID) {
		t.Errorf("turned off: %d", w.Code)
	}
	d := &device{t: t}
	if w := h.do(post(securityPath, d.make(h.get(securityPath).Body.String()))); w.Code != 303 {
		t.Fatalf("a passkey: %d", w.Code)
	}
	if w := h.do(post(securityPath, form)); w.Code != 303 || h.p.factors.Has(h.ada.ID) {
		t.Errorf("turned off, with a passkey: %d", w.Code)
	}
	form = fields(h.get(securityPath).Body.String())
	form.Set("answer", "forget")
	form.Set("id", b64.EncodeToString([]byte("id")))
	if w := h.do(post(securityPath, form)); w.Code != 403 || !h.p.keysOf.Has(h.ada.ID) {
		t.Errorf("the last passkey taken away: %d", w.Code)
	}
}

// spaced is the key for an app, as the page shows it.
func spaced(body string) string {
	_, rest, _ := strings.Cut(body, "<code>")
	key, _, _ := strings.Cut(rest, "</code>")
	return strings.ReplaceAll(key, " ", "")
}

// A passkey does, too: it signs in at once, and is asked for from then on.
func TestDemandPasskey(t *testing.T) {
	h := strict(t, "all")
	page := h.signIn(ask(webID, callback), "ada", secret)
	d := &device{t: t}
	form := d.make(page.Body.String())
	g := h.exchange(webID, callback, answer(t, h.do(post(secondPath, form)), callback).Get("code"))
	if _, c := parts(t, g.ID); c["acr"] != "2" || len(c["amr"].([]any)) != 4 {
		t.Errorf("acr %v, amr %v", c["acr"], c["amr"])
	}
	h.another()
	page = h.signIn(ask(webID, callback), "ada", secret)
	body := page.Body.String()
	if page.Code != 200 || strings.Contains(body, `id="oc-login-code"`) || !strings.Contains(body, `action="`+keyPath+`"`) || strings.Contains(body, "data-make") {
		t.Fatalf("with the password: %d %s", page.Code, body)
	}
	for _, answer := range []string{"", "begin", "confirm", "key", "done"} {
		if w := h.step(page, "answer", answer, "code", "000000"); w.Code == 303 || strings.Contains(w.Body.String(), `value="confirm"`) {
			t.Errorf("%q leads around the passkey: %d %s", answer, w.Code, w.Body)
		}
	}
	if w := h.do(post(keyPath, d.use(body))); w.Code != 303 {
		t.Errorf("with the passkey: %d %s", w.Code, w.Body)
	}
}

// A demand that comes later holds for those who are signed in.
func TestDemandLater(t *testing.T) {
	h := strict(t, "admin")
	h.promote(cloud.RoleUser)
	web, app := h.web(), h.desktop()
	if _, c := parts(t, web.ID); c["acr"] != "1" {
		t.Errorf("acr %v", c["acr"])
	}
	h.promote(cloud.RoleAdmin)
	if g := h.refresh(desktopID, app.Refresh); g.Error != "invalid_grant" {
		t.Errorf("an app goes on: %+v", g)
	}
	if w := h.page(ask(webID, callback)); w.Code != 200 || !strings.Contains(w.Body.String(), `id="oc-login-password"`) {
		t.Errorf("a browser goes on: %d to %q", w.Code, w.Header().Get("Location"))
	}
	w := h.get(authorizePath + "?" + ask(webID, callback, "prompt", "none").Encode())
	if q := answer(t, w, callback); q.Get("error") != "login_required" {
		t.Errorf("prompt=none: %v", q)
	}
	if w := h.get(securityPath); w.Code != 303 {
		t.Errorf("the page of security: %d", w.Code)
	}
	r := httptest.NewRequest("POST", logonPath, strings.NewReader(`{"params":["ada","`+secret+`","1"],"hello":{"client_id":"web"}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Kopano-Konnect-XSRF", "1")
	if w := h.bare(r); w.Code != 401 {
		t.Errorf("by script: %d", w.Code)
	}
	h.promote(cloud.RoleUser)
	if g := h.refresh(desktopID, app.Refresh); !h.good(g) {
		t.Errorf("without the demand: %+v", g)
	}
}

// Two windows of one user do not overwrite each other's factor.
func TestDemandTwice(t *testing.T) {
	h := strict(t, "admin")
	one := h.step(h.signIn(ask(webID, callback), "ada", secret), "answer", "begin")
	two := h.step(h.signIn(ask(webID, callback), "ada", secret), "answer", "begin")
	first := app(spaced(one.Body.String()))
	if w := h.step(one, "answer", "confirm", "code", first); w.Code != 200 {
		t.Fatalf("set up: %d", w.Code)
	}
	other := app(spaced(two.Body.String()))
	if w := h.step(two, "answer", "confirm", "code", other); w.Code == 303 || len(h.p.live.Of(h.ada.ID)) != 0 {
		t.Errorf("set up again: %d", w.Code)
	}
	key := make([]byte, totp.SecretSize)
	if _, err := h.p.factors.Set(h.ada.ID, key, totp.Code(key, time.Now().Unix()/30)); cloud.KindOf(err) != cloud.Exist {
		t.Errorf("at the same moment: %v, want %v", err, cloud.Exist)
	}
}
