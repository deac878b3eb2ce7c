package main

import "testing"

// The verbs for the built-in users leave those of another directory alone,
// and do not make some beside them.
func TestUsersOfAnotherDirectory(t *testing.T) {
	home := t.TempDir()
	play(t, home, []step{
		{args: "GRAPH_IDENTITY_BACKEND=ldap init --insecure no", want: "OC_ADMIN_USER_ID"},
		{args: "GRAPH_IDENTITY_BACKEND=ldap user list", code: 1, want: "manage them in their directory"},
		{args: "GRAPH_IDENTITY_BACKEND=ldap user add ada -g", code: 1, want: "manage them in their directory"},
		{args: "GRAPH_IDENTITY_BACKEND=ldap group list", code: 1, want: "manage them in their directory"},
		{args: "GRAPH_IDENTITY_BACKEND=ldap server", code: 1, want: "The directory needs OC_LDAP_URI."},
		{args: "user list --json", want: ""},
	})
}
