package mem_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"opencloud/cloud"
	"opencloud/storage/mem"
)

var ctx = context.Background()

// space makes an empty space.
func space(t *testing.T, s *mem.Store) cloud.SpaceID {
	t.Helper()
	sp, err := s.SetSpace(ctx, &cloud.Space{ID: s.NewSpaceID(cloud.Project, ""), Kind: cloud.Project})
	if err != nil {
		t.Fatal(err)
	}
	return sp.ID
}

func put(s *mem.Store, sp cloud.SpaceID, name, body string) (*cloud.Node, error) {
	n, _, err := s.Write(ctx, cloud.Write{Space: sp, Dir: sp.Root(), Name: name, Body: strings.NewReader(body), Size: -1, Keep: true})
	return n, err
}

func TestCapacity(t *testing.T) {
	s := mem.New()
	if free, err := s.Free(ctx); free != math.MaxInt64 || err != nil {
		t.Errorf("Free without a capacity: got %d, %v, want plenty", free, err)
	}
	s.Capacity = 10
	sp := space(t, s)
	free := func(want int64) {
		t.Helper()
		if got, err := s.Free(ctx); got != want || err != nil {
			t.Errorf("Free: got %d, %v, want %d", got, err, want)
		}
	}
	n, err := put(s, sp, "a", "1234")
	if err != nil {
		t.Fatal(err)
	}
	free(6)
	if _, err := put(s, sp, "a", "12345"); err != nil {
		t.Fatal(err)
	}
	free(1) // the old content is a version
	if _, err := put(s, sp, "b", "12"); !errors.Is(err, cloud.Full) {
		t.Errorf("Write beyond the capacity: got %v, want %v", err, cloud.Full)
	}
	u := &cloud.Upload{ID: "u", Dir: cloud.Ref{Space: sp, Node: sp.Root()}, Name: "c", How: cloud.Put{Size: 3}}
	if err := s.SetUpload(ctx, u); err != nil {
		t.Fatal(err)
	}
	if next, err := s.AppendUpload(ctx, sp, "u", 0, strings.NewReader("123")); next != 0 || !errors.Is(err, cloud.Full) {
		t.Errorf("AppendUpload beyond the capacity: got %d, %v, want 0, %v", next, err, cloud.Full)
	}
	if _, err := s.AppendUpload(ctx, sp, "u", 0, strings.NewReader("1")); err != nil {
		t.Fatal(err)
	}
	free(0)
	if err := s.DropUpload(ctx, sp, "u"); err != nil {
		t.Fatal(err)
	}
	free(1)
	if err := s.Drop(ctx, sp, n.ID); err != nil {
		t.Fatal(err)
	}
	free(10)
}

func TestHistory(t *testing.T) {
	s := mem.New()
	s.History = 3
	sp := space(t, s)
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, err := s.MakeDir(ctx, sp, sp.Root(), name); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[cloud.Cursor]int{1: -1, 2: 3, 3: 2, 5: 0, 6: -1} {
		got := 0
		for _, err := range s.Since(ctx, sp, after) {
			if errors.Is(err, cloud.TooOld) {
				got = -1
			} else if err != nil {
				t.Fatal(err)
			} else {
				got++
			}
		}
		if got != want {
			t.Errorf("records since %d: got %d, want %d (-1: too old)", after, got, want)
		}
	}
}
