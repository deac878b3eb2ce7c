package ocs

import (
	"net/http"
	"net/url"

	"opencloud/cloud"
)

// away declines a share.
func away(*cloud.Mount) cloud.MountChange {
	return cloud.MountChange{Synced: new(false), Hidden: new(true)}
}

// here accepts one. What is there stays as hidden as it is.
func here(m *cloud.Mount) cloud.MountChange {
	if m.Synced {
		return cloud.MountChange{}
	}
	return cloud.MountChange{Synced: new(true), Hidden: new(false)}
}

// states are what can be asked for; -1 is all.
var states = map[string]int{
	"": accepted, "0": accepted, "accepted": accepted, "1": pending, "pending": pending,
	"2": declined, "declined": declined, "rejected": declined, "all": -1,
}

// allReceived are the shares of others with the caller, those of one node if
// the form names one.
func (s *scribe) allReceived(f url.Values, want filter) ([]share, error) {
	state, ok := states[f.Get("state")]
	if !ok {
		return nil, cloud.Refuse(cloud.Invalid, "There is no state %.20q: all, accepted, pending and declined are.", f.Get("state"))
	}
	hidden, err := truth(f, "show_hidden")
	if err != nil {
		return nil, err
	}
	var of *cloud.Node
	if named(f) {
		ref, err := s.target(s.ctx, f)
		if err != nil {
			return nil, err
		}
		if _, of, err = s.shares.Grants(s.ctx, ref); err != nil {
			return nil, err
		}
	}
	all := []share{}
	for m, err := range s.shares.Received(s.ctx) {
		if err != nil {
			return nil, err
		}
		is := stateOf(m)
		switch {
		case of != nil && (m.Node.Space != of.Space || m.Node.ID != of.ID),
			state >= 0 && is != state,
			m.Hidden && is != declined && !hidden:
			continue
		}
		for i := range m.Grants {
			if !want.takes(&m.Grants[i], m.Node.Kind()) {
				continue
			}
			e, err := s.received(m, &m.Grants[i])
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// setMount changes where the caller finds what was shared with them, and shows
// the share.
func (h *handler) setMount(r *http.Request, id string, change func(*cloud.Mount) cloud.MountChange) (any, error) {
	s, err := h.scribe(r)
	if err != nil {
		return nil, err
	}
	g, n, err := s.shares.Grant(s.ctx, cloud.ShareID(id))
	if err != nil {
		return nil, err
	}
	m, err := s.mount(n, g)
	if err == nil {
		m, err = s.shares.SetMount(s.ctx, m.ID, change(m))
	}
	if err != nil {
		return nil, err
	}
	e, err := s.received(m, g)
	return []share{e}, err
}

func (h *handler) accept(r *http.Request, id string) (any, error)  { return h.setMount(r, id, here) }
func (h *handler) decline(r *http.Request, id string) (any, error) { return h.setMount(r, id, away) }

func (h *handler) hide(r *http.Request, id string) (any, error) {
	f, err := form(r)
	if err != nil {
		return nil, err
	}
	if !f.Has("hidden") {
		return nil, cloud.Refuse(cloud.Invalid, "Say whether it is hidden.")
	}
	hidden, err := truth(f, "hidden")
	if err != nil {
		return nil, err
	}
	return h.setMount(r, id, func(*cloud.Mount) cloud.MountChange { return cloud.MountChange{Hidden: &hidden} })
}
