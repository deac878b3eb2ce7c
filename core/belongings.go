package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers the format
	_ "image/png"

	"opencloud/cloud"
)

// Names of the documents that are kept of a user.
const (
	photoDocument  = "photo"
	choiceDocument = "choices"
)

// maxPixels bounds a photo in width and in height.
const maxPixels = 4096

func (p *People) Photo(ctx context.Context, of cloud.UserID) ([]byte, error) {
	_, err := caller(ctx)
	var photo []byte
	if err == nil {
		photo, err = p.profiles.Document(ctx, of, photoDocument)
	}
	return photo, cloud.E("core.Photo", cloud.Ref{}, err)
}

func (p *People) SetPhoto(ctx context.Context, of cloud.UserID, photo []byte) error {
	return cloud.E("core.SetPhoto", cloud.Ref{}, p.setPhoto(ctx, of, photo))
}

func (p *People) setPhoto(ctx context.Context, of cloud.UserID, photo []byte) error {
	needs := []cloud.SystemPermission{cloud.ManageUsers, cloud.ManageSelf}
	if of != cloud.CallerFrom(ctx).ID() {
		needs = needs[:1]
	}
	if _, err := demand(ctx, needs...); err != nil {
		return err
	}
	if _, err := p.dir.User(ctx, "id", string(of)); err != nil {
		return err
	}
	if len(photo) > 0 {
		if err := checkPhoto(photo); err != nil {
			return err
		}
	}
	return p.profiles.SetDocument(ctx, of, photoDocument, photo)
}

// checkPhoto looks at the head of a picture only; nothing here decodes it.
func checkPhoto(photo []byte) error {
	if len(photo) > cloud.MaxPhoto {
		return cloud.Refuse(cloud.TooLarge, "The photo is too large: at most %d MiB.", cloud.MaxPhoto>>20)
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(photo))
	switch {
	case err != nil || format != "jpeg" && format != "png":
		return cloud.Refuse(cloud.Invalid, "The photo must be a JPEG or PNG picture.")
	case c.Width < 1 || c.Height < 1 || c.Width > maxPixels || c.Height > maxPixels:
		return cloud.Refuse(cloud.TooLarge, "The photo is too large: at most %d pixels in width and in height.", maxPixels)
	}
	return nil
}

func (p *People) Choices(ctx context.Context, of cloud.UserID) (map[string]cloud.Choice, error) {
	u, err := p.chooser(ctx, of, "")
	var all map[string]cloud.Choice
	if err == nil {
		all, err = p.choices(ctx, u)
	}
	return all, cloud.E("core.Choices", cloud.Ref{}, err)
}

// chooser is the user whose choices they are, if the caller may read them or,
// with the permission it needs, make one.
func (p *People) chooser(ctx context.Context, of cloud.UserID, needs cloud.SystemPermission) (*cloud.User, error) {
	me, err := caller(ctx)
	switch {
	case err != nil:
		return nil, err
	case of == me.ID && needs != "" && !me.May(needs), of != me.ID && !me.May(cloud.ManageSettings):
		return nil, cloud.Permission
	}
	return p.dir.User(ctx, "id", string(of))
}

func (p *People) choices(ctx context.Context, u *cloud.User) (map[string]cloud.Choice, error) {
	all, err := choicesIn(ctx, p.profiles, u.ID)
	if err != nil {
		return nil, err
	}
	if u.Language != "" {
		all[cloud.PreferLanguage] = cloud.Choice{Text: u.Language}
	}
	return all, nil
}

// choicesIn are those that are kept in a document.
func choicesIn(ctx context.Context, profiles cloud.Profiles, of cloud.UserID) (map[string]cloud.Choice, error) {
	all := map[string]cloud.Choice{}
	body, err := profiles.Document(ctx, of, choiceDocument)
	switch {
	case errors.Is(err, cloud.NotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(body, &all); err != nil {
			return nil, fmt.Errorf("choices of the user %s: %w", of, err)
		}
	}
	return all, nil
}

func (p *People) Choose(ctx context.Context, of cloud.UserID, preference string, c cloud.Choice) error {
	return cloud.E("core.Choose", cloud.Ref{}, p.choose(ctx, of, preference, c))
}

func (p *People) choose(ctx context.Context, of cloud.UserID, preference string, c cloud.Choice) error {
	pref, ok := cloud.PreferenceBy(preference)
	if !ok {
		return cloud.Refuse(cloud.NotExist, "There is no such setting.")
	}
	u, err := p.chooser(ctx, of, pref.Needs)
	if err != nil {
		return err
	}
	if err := pref.Check(c); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if preference == cloud.PreferLanguage {
		if u, err = p.dir.User(ctx, "id", string(of)); err == nil {
			u.Language = c.Text
			_, err = p.dir.SetUser(ctx, u, "")
		}
		return err
	}
	all, err := p.choices(ctx, u)
	if err != nil {
		return err
	}
	delete(all, cloud.PreferLanguage)
	all[preference] = c
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return p.profiles.SetDocument(ctx, of, choiceDocument, body)
}
