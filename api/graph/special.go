package graph

import (
	"bytes"
	_ "embed"
	"net/http"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// specials are what a space can have, by its name in the API, and where it is
// kept on the root.
var specials = []struct{ name, attr string }{{"readme", cloud.AttrReadme}, {"image", cloud.AttrImage}}

// A specialChange names a file of the space; without id there is none any more.
type specialChange struct {
	ID     *string `json:"id"`
	Folder struct {
		Name string `json:"name"`
	} `json:"specialFolder"`
}

// special are the files that tell what a space is, as far as the caller may see.
func (h *handler) special(r *http.Request, s *cloud.Space) ([]driveItem, error) {
	var all []driveItem
	for _, sp := range specials {
		id := s.Root.Attrs[sp.attr]
		if id == "" || !s.Disabled.IsZero() {
			continue
		}
		n, err := h.files.Stat(r.Context(), cloud.Ref{Space: s.ID, Node: cloud.NodeID(id)})
		switch cloud.KindOf(err) {
		case cloud.NotExist, cloud.Permission:
			continue
		}
		if err != nil {
			return nil, err
		}
		url := httpx.From(r.Context()).Site.Abs("/dav/spaces/" + string(s.ID) + "/" + string(httpx.EscapePath(nil, n.Path)))
		all = append(all, driveItem{
			ID: cloud.ItemID(s.ID, n.ID), Name: n.Name, ETag: httpx.ETag(n.ETag), WebDavURL: url, Size: &n.Size, Modified: new(n.MTime.UTC()),
			File: &file{MIMEType: cloud.MIMEType(n.Name)}, Special: &specialFolder{sp.name},
		})
	}
	return all, nil
}

// specialAttrs are the attributes of the root that are wanted.
func (h *handler) specialAttrs(r *http.Request, s *cloud.Space, change []specialChange) (map[string]*string, error) {
	attrs := map[string]*string{}
	for _, c := range change {
		attr := ""
		for _, sp := range specials {
			if sp.name == c.Folder.Name {
				attr = sp.attr
			}
		}
		if attr == "" {
			return nil, cloud.Refuse(cloud.Invalid, "A space has a readme and an image, not %.40q.", c.Folder.Name)
		}
		if c.ID == nil || *c.ID == "" {
			attrs[attr] = nil
			continue
		}
		ref, err := cloud.ParseItemID(*c.ID)
		if err != nil || ref.Space != s.ID {
			return nil, cloud.Refuse(cloud.Invalid, "The %s must be a file in the space.", c.Folder.Name)
		}
		n, err := h.files.Stat(r.Context(), ref)
		if err != nil {
			return nil, err
		}
		if n.Dir {
			return nil, cloud.Refuse(cloud.Invalid, "The %s must be a file in the space.", c.Folder.Name)
		}
		attrs[attr] = new(string(n.ID))
	}
	return attrs, nil
}

func (h *handler) setSpecial(r *http.Request, id cloud.SpaceID, attrs map[string]*string) (*cloud.Space, error) {
	if _, err := h.files.Change(r.Context(), cloud.Ref{Space: id}, cloud.Change{Attrs: attrs}); err != nil {
		return nil, err
	}
	return h.files.Space(r.Context(), id)
}

// templateOf tells whether a new space is to have something in it.
func templateOf(r *http.Request) (bool, error) {
	switch template := r.URL.Query().Get("template"); template {
	case "", "none":
		return false, nil
	case "default":
		return true, nil
	default:
		return false, cloud.Refuse(cloud.Invalid, "There is no template %.40q: default and none are.", template)
	}
}

//go:embed template/image.png
var templateImage []byte

// templateReadme is by language.
var templateReadme = map[string]string{
	"en": "# Welcome to this space\n\nSay here what it is for. Everybody who may write can change this text.\n",
	"de": "# Willkommen in diesem Space\n\nHier kann stehen, wofür er da ist. Alle, die schreiben dürfen, können diesen Text ändern.\n",
	"es": "# Te damos la bienvenida a este espacio\n\nEscribe aquí para qué sirve. Quien puede escribir puede cambiar este texto.\n",
	"fr": "# Bienvenue dans cet espace\n\nDites ici à quoi il sert. Toute personne qui peut écrire peut modifier ce texte.\n",
	"it": "# Benvenuti in questo spazio\n\nScrivi qui a che cosa serve. Chi può scrivere può cambiare questo testo.\n",
	"nl": "# Welkom in deze ruimte\n\nSchrijf hier waarvoor die dient. Wie mag schrijven, kan deze tekst veranderen.\n",
}

// languageOf is the first that the client asks for and we have.
func languageOf(r *http.Request) string {
	const most = 20
	for i, tag := range strings.SplitN(r.Header.Get("Accept-Language"), ",", most) {
		tag, _, _ = strings.Cut(tag, ";")
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), "-")
		if tag = strings.ToLower(tag); templateReadme[tag] != "" && i < most-1 {
			return tag
		}
	}
	return "en"
}

// furnish puts a readme and a picture into a new space. A space whose quota
// has no room for them goes without.
func (h *handler) furnish(r *http.Request, s *cloud.Space) (*cloud.Space, error) {
	const folder = ".space"
	ctx := r.Context()
	if _, err := h.files.MakeDir(ctx, cloud.Ref{Space: s.ID, Path: folder}, cloud.Conditions{}); err != nil {
		return nil, err
	}
	attrs := map[string]*string{}
	for _, f := range []struct {
		name, attr string
		body       []byte
	}{{"readme.md", cloud.AttrReadme, []byte(templateReadme[languageOf(r)])}, {"image.png", cloud.AttrImage, templateImage}} {
		n, _, err := h.files.Put(ctx, cloud.Ref{Space: s.ID, Path: folder + "/" + f.name}, bytes.NewReader(f.body), cloud.Put{Size: int64(len(f.body))})
		if cloud.KindOf(err) == cloud.Full {
			continue
		}
		if err != nil {
			return nil, err
		}
		attrs[f.attr] = new(string(n.ID))
	}
	return h.setSpecial(r, s.ID, attrs)
}
