package directorytest_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"opencloud/cloud"
	"opencloud/directory/directorytest"
)

// A book is the simplest directory that can pass: it shows that the kit asks
// for nothing else.
type book struct {
	mu        sync.Mutex
	users     map[cloud.UserID]cloud.User
	passwords map[cloud.UserID]string
}

func TestKit(t *testing.T) {
	directorytest.Run(t, func(*testing.T) cloud.Directory {
		return &book{users: map[cloud.UserID]cloud.User{}, passwords: map[cloud.UserID]string{}}
	})
}

func handOut(u cloud.User) *cloud.User {
	u.Groups = slices.Clone(u.Groups)
	return &u
}

// find is a user by what holds for it. The caller holds mu.
func (b *book) find(holds func(cloud.User) bool) (cloud.User, error) {
	for _, u := range b.users {
		if holds(u) {
			return u, nil
		}
	}
	return cloud.User{}, cloud.NotExist
}

func (b *book) User(_ context.Context, by, value string) (*cloud.User, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.find(func(u cloud.User) bool {
		switch by {
		case "id":
			return string(u.ID) == value
		case "name":
			return strings.EqualFold(u.Name, value)
		case "mail":
			return value != "" && strings.EqualFold(u.Mail, value)
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	return handOut(u), nil
}

func (b *book) Users(context.Context) iter.Seq2[*cloud.User, error] {
	return func(yield func(*cloud.User, error) bool) {
		b.mu.Lock()
		all := slices.Collect(maps.Values(b.users))
		b.mu.Unlock()
		for _, u := range all {
			if !yield(handOut(u), nil) {
				return
			}
		}
	}
}

func (b *book) SetUser(_ context.Context, u *cloud.User, password string) (*cloud.User, error) {
	if err := cloud.CheckName(u.Name); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	set := *handOut(*u)
	if set.ID == "" {
		set.ID = cloud.UserID(cloud.NewUUID().String())
	} else if _, ok := b.users[set.ID]; !ok {
		return nil, cloud.NotExist
	}
	if _, err := b.find(func(o cloud.User) bool { return o.ID != set.ID && strings.EqualFold(o.Name, set.Name) }); err == nil {
		return nil, cloud.Exist
	}
	b.users[set.ID] = set
	if password != "" {
		b.passwords[set.ID] = password
	}
	return handOut(set), nil
}

func (b *book) RemoveUser(_ context.Context, id cloud.UserID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.users[id]; !ok {
		return cloud.NotExist
	}
	delete(b.users, id)
	delete(b.passwords, id)
	return nil
}

func (b *book) Verify(_ context.Context, name, password string) (*cloud.User, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.find(func(u cloud.User) bool { return strings.EqualFold(u.Name, name) })
	if err != nil || u.Disabled || password == "" || b.passwords[u.ID] != password {
		return nil, cloud.Unauthorized
	}
	return handOut(u), nil
}
