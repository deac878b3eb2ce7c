package core

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"opencloud/auth/apptoken"
	"opencloud/cloud"
)

// Who may do what with whose tokens, by what they came in with.
func TestWhoMayWithAppTokens(t *testing.T) {
	const nobody = "11111111-1111-4111-8111-111111111111"
	for _, impersonation := range []bool{false, true} {
		w := settle(t, PeopleOptions{})
		store, err := apptoken.Open(t.TempDir(), w.dir, apptoken.Options{Generator: apptoken.Random}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		tokens := NewAppTokens(store, w.dir, AppTokenOptions{Impersonation: impersonation})
		var others error = cloud.Permission
		if impersonation {
			others = nil
		}
		for _, c := range []struct {
			who   string
			proof cloud.Proof
			of    cloud.UserID // empty: their own
			list  error
			make  error
		}{
			{who: "nobody", of: w.users["user"].ID, list: cloud.Unauthorized, make: cloud.Unauthorized},
			{who: "user"},
			{who: "light"},
			{who: "user", proof: cloud.ByPassword},
			{who: "user", proof: cloud.ByAppToken, make: cloud.Permission},
			{who: "user", proof: cloud.ByURL, make: cloud.Permission},
			{who: "user", proof: cloud.ByMachine, make: cloud.Permission},
			{who: "user", of: w.users["other"].ID, list: cloud.Permission, make: cloud.Permission},
			{who: "user", of: nobody, list: cloud.Permission, make: cloud.Permission},
			{who: "spaceadmin", of: w.users["other"].ID, list: cloud.Permission, make: cloud.Permission},
			{who: "admin", of: w.users["other"].ID, list: others, make: others},
			{who: "admin", proof: cloud.ByAppToken, of: w.users["other"].ID, list: others, make: cloud.Permission},
			{who: "admin", of: nobody, list: map[bool]error{true: cloud.NotExist, false: cloud.Permission}[impersonation], make: map[bool]error{true: cloud.NotExist, false: cloud.Permission}[impersonation]},
		} {
			ctx := w.as(c.who)
			caller := cloud.CallerFrom(ctx)
			caller.Proof = c.proof
			ctx = cloud.WithCaller(ctx, caller)
			of := c.of
			if of == "" {
				of = caller.ID()
			}
			made, secret, err := tokens.MakeAppToken(ctx, of, "", time.Hour)
			if !errors.Is(err, c.make) || (secret == "") != (err != nil) {
				t.Errorf("%v: making by %+v: %v, want %v", impersonation, c, err, c.make)
			}
			if _, err := tokens.AppTokens(ctx, of); !errors.Is(err, c.list) {
				t.Errorf("%v: list by %+v: %v, want %v", impersonation, c, err, c.list)
			}
			if err := tokens.RevokeAppToken(ctx, of, made.ID); !errors.Is(err, c.make) {
				t.Errorf("%v: revoking by %+v: %v, want %v", impersonation, c, err, c.make)
			}
		}
	}
}

// Who came in by what a user gave away changes nobody's way to sign in.
func TestNotInPerson(t *testing.T) {
	for _, proof := range []cloud.Proof{cloud.BySession, cloud.ByPassword, cloud.ByAppToken, cloud.ByURL, cloud.ByMachine} {
		w := settle(t, PeopleOptions{})
		caller := cloud.CallerFrom(w.as("admin"))
		caller.Proof = proof
		ctx := cloud.WithCaller(t.Context(), caller)
		const next = "another fine secret"
		var want error
		if proof > cloud.ByPassword {
			want = cloud.Permission
		}
		other := w.users["other"].ID
		for name, do := range map[string]func() error{
			"change one's password":   func() error { return w.ChangePassword(ctx, secret, next) },
			"set somebody's password": func() error { return second(w.ChangeUser(ctx, other, cloud.UserChange{Password: new(next)})) },
			"give a role":             func() error { return second(w.ChangeUser(ctx, other, cloud.UserChange{Role: new(cloud.RoleAdmin)})) },
			"add an admin": func() error {
				return second(w.AddUser(ctx, &cloud.User{Name: "new", Display: "N", Role: cloud.RoleAdmin}, secret))
			},
		} {
			if err := do(); !errors.Is(err, want) {
				t.Errorf("%s, proof %d: %v, want %v", name, proof, err, want)
			}
		}
		if err := second(w.AddUser(ctx, &cloud.User{Name: "plain", Display: "P"}, secret)); err != nil {
			t.Errorf("add a user, proof %d: %v", proof, err)
		}
	}
}
