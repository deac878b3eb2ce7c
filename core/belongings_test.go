package core

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opencloud/cloud"
)

func TestPhotos(t *testing.T) {
	w := settle(t, PeopleOptions{})
	ctx, id := w.as("user"), w.users["user"].ID
	_, err := w.Photo(ctx, id)
	w.is("no photo", err, cloud.NotExist)
	for _, format := range []string{"png", "jpeg"} {
		want := picture(format, maxPixels, 1)
		w.is("SetPhoto "+format, w.SetPhoto(ctx, id, want), nil)
		got, err := w.Photo(w.as("other"), id)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v; want %d", format, len(got), err, len(want))
		}
	}
	for what, c := range map[string]struct {
		photo []byte
		want  cloud.Kind
	}{
		"text":             {[]byte("hello"), cloud.Invalid},
		"SVG":              {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), cloud.Invalid},
		"GIF":              {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00"), cloud.Invalid},
		"half a head":      {picture("png", 8, 8)[:20], cloud.Invalid},
		"too wide":         {picture("png", maxPixels+1, 1), cloud.TooLarge},
		"too high":         {picture("jpeg", 1, maxPixels+1), cloud.TooLarge},
		"a bomb":           {bomb(), cloud.TooLarge},
		"too many bytes":   {append(picture("png", 8, 8), make([]byte, cloud.MaxPhoto)...), cloud.TooLarge},
		"a head of a JPEG": {[]byte("\xff\xd8\xff"), cloud.Invalid},
	} {
		w.is(what, w.SetPhoto(ctx, id, c.photo), c.want)
	}
	w.is("remove", w.SetPhoto(ctx, id, nil), nil)
	_, err = w.Photo(ctx, id)
	w.is("no photo any more", err, cloud.NotExist)
	w.is("photo of nobody", w.SetPhoto(w.as("admin"), "x", picture("png", 8, 8)), cloud.NotExist)
}

// bomb is a small file that says it has very many pixels.
func bomb() []byte {
	b := picture("png", 8, 8)
	// Width and height stand behind the signature and the head of the first
	// chunk, which ends with its checksum.
	copy(b[16:], []byte{0x7f, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01})
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestChoices(t *testing.T) {
	w := settle(t, PeopleOptions{})
	ctx, id := w.as("user"), w.users["user"].ID
	has := func(want map[string]cloud.Choice) {
		t.Helper()
		got, err := w.Choices(ctx, id)
		w.is("Choices", err, nil)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	language := cloud.Choice{Text: "de"}
	has(map[string]cloud.Choice{cloud.PreferLanguage: language})
	w.is("Choose", w.Choose(ctx, id, interval, cloud.Choice{Text: "weekly"}), nil)
	w.is("Choose", w.Choose(ctx, id, shareCreated, cloud.Choice{Flags: map[string]bool{"mail": false}}), nil)
	w.is("Choose", w.Choose(ctx, id, interval, cloud.Choice{Text: "never"}), nil)
	has(map[string]cloud.Choice{
		cloud.PreferLanguage: language, interval: {Text: "never"}, shareCreated: {Flags: map[string]bool{"mail": false}},
	})
	// The language is that of the user, wherever it is changed.
	w.is("Choose", w.Choose(ctx, id, cloud.PreferLanguage, cloud.Choice{Text: "fr"}), nil)
	u, err := w.User(ctx, "id", string(id))
	w.is("User", err, nil)
	equal(t, "language", u.Language, "fr")
	_, err = w.ChangeUser(ctx, id, cloud.UserChange{Language: new("")})
	w.is("ChangeUser", err, nil)
	has(map[string]cloud.Choice{interval: {Text: "never"}, shareCreated: {Flags: map[string]bool{"mail": false}}})

	w.is("what there is not", w.Choose(ctx, id, "x", cloud.Choice{Text: "x"}), cloud.NotExist)
	w.is("what cannot be", w.Choose(ctx, id, interval, cloud.Choice{Text: "x"}), cloud.Invalid)
	w.is("no language", w.Choose(ctx, id, cloud.PreferLanguage, cloud.Choice{Text: "/"}), cloud.Invalid)
}
