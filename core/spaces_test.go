package core

import (
	"slices"
	"testing"

	"opencloud/cloud"
)

// A list of all spaces says that they are there, and lets nobody in.
func TestAllSpaces(t *testing.T) {
	w := settle(t, PeopleOptions{})
	w.home("other")
	project := w.project()
	project.Quota = 1000
	_, err := w.SetSpace(w.as("boss"), project)
	w.is("SetSpace", err, nil)
	for name, want := range map[string][]string{
		"admin": {"Admin", "Other", "project"}, "spaceadmin": {"Other", "Spaceadmin", "project"}, "user": {"User"}, "light": nil, "boss": {"Other", "boss", "project"},
	} {
		all, err := drain(w.AllSpaces(w.as(name)))
		w.is("AllSpaces", err, nil)
		var got []string
		for _, s := range all {
			if s.Kind == cloud.Project || s.Owner == w.users["other"].ID || s.Root.Rights == cloud.AllRights {
				got = append(got, s.Name)
			}
			if s.Kind == cloud.Project && (s.Free != 1000 || (s.Root.Rights != 0) != (name == "boss")) {
				t.Errorf("%s: got a project with %d free and rights %v", name, s.Free, s.Root.Rights)
			}
			if s.Quota == 0 && s.Free <= 0 {
				t.Errorf("%s: got no room in %s", name, s.Name)
			}
		}
		slices.Sort(got)
		equal(t, name, got, want)
	}
	_, err = drain(w.List(w.as("admin"), cloud.Ref{Space: project.ID}))
	w.is("the content", err, cloud.NotExist)
	_, err = drain(w.AllSpaces(t.Context()))
	w.is("nobody", err, cloud.Unauthorized)
}

// A personal space whose owner is no more can be removed at once, any other
// is disabled first, or goes with its owner.
func TestRemoveOrphan(t *testing.T) {
	w := settle(t, PeopleOptions{})
	home := w.home("other")
	w.is("with its owner", w.RemoveSpace(w.as("admin"), home.ID, true), cloud.Invalid)
	w.is("disable", w.RemoveSpace(w.as("admin"), home.ID, false), cloud.Permission)
	w.is("RemoveUser", w.dir.RemoveUser(t.Context(), w.users["other"].ID), nil)
	w.is("by a space admin", w.RemoveSpace(w.as("spaceadmin"), home.ID, true), cloud.Permission)
	w.is("by a user", w.RemoveSpace(w.as("user"), home.ID, true), cloud.NotExist)
	w.is("by an admin", w.RemoveSpace(w.as("admin"), home.ID, true), nil)
	_, err := w.store.Space(t.Context(), home.ID)
	w.is("Space", err, cloud.NotExist)
}
