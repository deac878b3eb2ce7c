package shelf

import (
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
)

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New[int](time.Minute)
		one := func(u cloud.UserID) bool { return c.Add(u, 1) != "" }
		for i := range MaxOfUser {
			if !one("u") {
				t.Fatalf("code %d is refused", i)
			}
		}
		if one("u") {
			t.Error("there is no bound")
		}
		if !one("v") {
			t.Error("another user is refused")
		}
		time.Sleep(time.Minute)
		if !one("u") || len(c.byHash) != 1 || len(c.ofUser) != 1 {
			t.Errorf("%d codes of %d users, want 1", len(c.byHash), len(c.ofUser))
		}
	})
}

func TestShelf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New[string](time.Minute)
		a, b := s.Add("u", "a"), s.Add("u", "b")
		if got, ok := s.Find(a); got != "a" || !ok {
			t.Errorf("got %q, %v", got, ok)
		}
		if !s.Drop(a) || s.Drop(a) {
			t.Error("a thing is dropped not once")
		}
		if _, ok := s.Find(a); ok {
			t.Error("what was dropped is there")
		}
		time.Sleep(time.Minute)
		if _, ok := s.Find(b); ok {
			t.Error("what has expired is there")
		}
		if _, ok := s.Find(""); ok {
			t.Error("something is there for nobody")
		}
	})
}
