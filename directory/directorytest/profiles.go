package directorytest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"opencloud/cloud"
)

// RunProfiles tests what open returns, each time with nothing in it.
func RunProfiles(t *testing.T, open func(t *testing.T) cloud.Profiles) {
	t.Run("Documents", func(t *testing.T) { documents(t, open(t)) })
	t.Run("Drop", func(t *testing.T) { dropped(t, open(t)) })
}

func documents(t *testing.T, p cloud.Profiles) {
	ctx := t.Context()
	has := func(of cloud.UserID, name, want string) {
		t.Helper()
		got, err := p.Document(ctx, of, name)
		if want == "" {
			if !errors.Is(err, cloud.NotExist) || got != nil {
				t.Errorf("%s of %q: got %q, %v; want NotExist", name, of, got, err)
			}
		} else if err != nil || string(got) != want {
			t.Errorf("%s of %q: got %q, %v; want %q", name, of, got, err, want)
		}
	}
	set := func(of cloud.UserID, name, body string) {
		t.Helper()
		if err := p.SetDocument(ctx, of, name, []byte(body)); err != nil {
			t.Fatalf("SetDocument %s of %q: got %v", name, of, err)
		}
	}
	users := []cloud.UserID{"11111111-1111-4111-8111-111111111111", "uid=a,o=b", "../../x", "/", "."}
	for _, u := range users {
		has(u, "photo", "")
		set(u, "photo", "") // nothing to remove
		set(u, "photo", "picture of "+string(u))
		set(u, "choices", "choices of "+string(u))
	}
	for _, u := range users {
		has(u, "photo", "picture of "+string(u))
		has(u, "choices", "choices of "+string(u))
		set(u, "photo", "short")
		has(u, "photo", "short")
		set(u, "photo", "")
		has(u, "photo", "")
		has(u, "choices", "choices of "+string(u))
	}
	large := bytes.Repeat([]byte("x"), 5<<20)
	set("a", "photo", string(large))
	got, err := p.Document(ctx, "a", "photo")
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("5 MiB: got %d bytes, %v", len(got), err)
	}
}

func dropped(t *testing.T, p cloud.Profiles) {
	ctx := context.Background()
	for _, u := range []cloud.UserID{"a", "b"} {
		for _, name := range []string{"photo", "choices"} {
			if err := p.SetDocument(ctx, u, name, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the second time there is nothing left
		if err := p.DropDocuments(ctx, "a"); err != nil {
			t.Errorf("DropDocuments: got %v", err)
		}
	}
	for _, name := range []string{"photo", "choices"} {
		if body, err := p.Document(ctx, "a", name); !errors.Is(err, cloud.NotExist) {
			t.Errorf("%s after DropDocumentsDocuments: got %q, %v; want NotExist", name, body, err)
		}
		if _, err := p.Document(ctx, "b", name); err != nil {
			t.Errorf("%s of another user after DropDocumentsDocuments: got %v", name, err)
		}
	}
	if err := p.SetDocument(ctx, "a", "photo", []byte("y")); err != nil {
		t.Errorf("SetDocument after DropDocumentsDocuments: got %v", err)
	}
}
