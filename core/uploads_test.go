package core

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"opencloud/cloud"
)

func TestUploads(t *testing.T) {
	d := sit(t, Options{})
	d.grant("", cloud.Grant{To: cloud.Subject{User: bob.ID}, Rights: cloud.SpaceEditor})
	up, err := d.Begin(d.ctx, d.ref("file"), cloud.Put{Size: 10, Sum: "SHA1:87acec17cd9dcd20a716cc2cf67417b71c8a7016"})
	d.is("Begin", err, nil)
	for what, err := range map[string]error{
		"Upload by another": second(d.Upload(as(bob), up.ID)),
		"Append by another": second(d.Append(as(bob), up.ID, 0, strings.NewReader("x"))),
		"Cancel by another": d.Cancel(as(bob), up.ID),
		"Upload of nothing": second(d.Upload(d.ctx, "nonsense")),
		"Upload of none":    second(d.Upload(d.ctx, up.ID[:len(up.ID)-1]+"g")),
	} {
		d.is(what, err, cloud.NotExist)
	}
	_, err = d.Append(d.ctx, up.ID, 3, strings.NewReader("x"))
	d.is("Append beyond the end", err, cloud.Conflict)
	up, err = d.Append(d.ctx, up.ID, 0, io.MultiReader(strings.NewReader("01234"), readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF })))
	if err == nil || up.Offset != 5 {
		t.Fatalf("Append of a body that breaks: %v, %+v", err, up)
	}
	got, err := d.Upload(d.ctx, up.ID)
	d.is("Upload", err, nil)
	equal(t, "offset", got.Offset, 5)
	_, err = d.Append(d.ctx, up.ID, 5, strings.NewReader("567891"))
	d.is("Append of too much", err, cloud.Invalid)
	if _, err := d.Stat(d.ctx, d.ref("file")); !errors.Is(err, cloud.NotExist) {
		t.Errorf("half a file is visible: %v", err)
	}
	got, err = d.Upload(d.ctx, up.ID)
	d.is("Upload", err, nil)
	up, err = d.Append(d.ctx, up.ID, got.Offset, strings.NewReader("0123456789"[got.Offset:]))
	d.is("Append", err, nil)
	if up.Node == nil || !up.Made || d.read(d.ref("file"), "") != "0123456789" {
		t.Errorf("complete: %+v", up)
	}
	// The last answer may be lost: asked again, it is still known as complete.
	again, err := d.Upload(d.ctx, up.ID)
	d.is("Upload once complete", err, nil)
	equal(t, "offset, node", fmt.Sprint(again.Offset, again.Node.ID), fmt.Sprint(10, up.Node.ID))
	_, err = d.Append(d.ctx, up.ID, 10, strings.NewReader(""))
	d.is("Append at the end once complete", err, nil)
	_, err = d.Append(d.ctx, up.ID, 5, strings.NewReader("56789"))
	d.is("Append in the middle once complete", err, cloud.Conflict)
	d.is("Cancel once complete", d.Cancel(d.ctx, up.ID), cloud.NotExist)
	_, err = d.Upload(as(bob), up.ID)
	d.is("Upload by another once complete", err, cloud.NotExist)

	// A damaged one is dropped, a locked out one waits.
	up, _ = d.Begin(d.ctx, d.ref("bad"), cloud.Put{Size: 1, Sum: "SHA1:87acec17cd9dcd20a716cc2cf67417b71c8a7016"})
	_, err = d.Append(d.ctx, up.ID, 0, strings.NewReader("x"))
	d.is("Append", err, cloud.BadSum)
	_, err = d.Upload(d.ctx, up.ID)
	d.is("Upload", err, cloud.NotExist)
	up, _ = d.Begin(d.ctx, d.ref("file"), cloud.Put{Size: 1})
	l, _, _, err := d.Lock(as(bob), d.ref("file"), cloud.Lock{}, cloud.Conditions{})
	d.is("Lock", err, nil)
	_, err = d.Append(d.ctx, up.ID, 0, strings.NewReader("x"))
	d.is("Append", err, cloud.Locked)
	_, err = d.Upload(d.ctx, up.ID)
	d.is("Upload", err, cloud.Locked)
	d.is("Unlock", d.Unlock(as(bob), d.ref("file"), l.Token), nil)
	up, err = d.Upload(d.ctx, up.ID)
	d.is("Upload", err, nil)
	if up.Node == nil || d.read(d.ref("file"), "") != "x" {
		t.Errorf("complete: %+v", up)
	}

	up, err = d.Begin(d.ctx, d.ref("empty"), cloud.Put{Size: 0})
	d.is("Begin of nothing", err, nil)
	if up.Node == nil || up.Node.Size != 0 {
		t.Errorf("an empty upload: %+v", up)
	}
	up, _ = d.Begin(d.ctx, d.ref("late"), cloud.Put{Size: 1})
	later := time.Now().Add(25 * time.Hour)
	d.Core.now = func() time.Time { return later }
	_, err = d.Append(d.ctx, up.ID, 0, strings.NewReader("x"))
	d.is("Append to an expired one", err, cloud.NotExist)
	d.Core.now = time.Now
	d.Begin(d.ctx, d.ref("stale"), cloud.Put{Size: 1})
	d.Core.now = func() time.Time { return later.Add(48 * time.Hour) }
	d.Begin(d.ctx, d.ref("fresh"), cloud.Put{Size: 1})
	var left []string
	for up, err := range d.store.Uploads(d.ctx, d.space) {
		d.is("Uploads", err, nil)
		left = append(left, up.Name)
	}
	equal(t, "uploads", left, "[fresh]")
}
