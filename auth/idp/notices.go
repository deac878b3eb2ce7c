package idp

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"opencloud/auth/idp/file"
	"opencloud/auth/idp/passkey"
	"opencloud/auth/idp/totp"
	"opencloud/cloud"
)

// Who is signed in is in the memory of the server. Another process, such as
// the command line, ends sessions by a notice: an empty file that is named
// after the user, in a folder whose mtime says that there is something new.
const noticesDir = "notices"

// SignOut ends all sessions of a user for whoever has, or will have, the
// folder open: at once.
func SignOut(path string, of cloud.UserID) error {
	return cloud.E("idp.SignOut", cloud.Ref{}, leaveNotice(path, of))
}

func leaveNotice(path string, of cloud.UserID) error {
	dir := filepath.Join(path, noticesDir)
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no server ever looked there: nobody has signed in
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, b64.EncodeToString([]byte(of))), nil, 0o600)
	}
	if err == nil {
		err = file.SyncDir(dir)
	}
	if err == nil {
		// Clocks of file systems are coarse: two changes can look like one.
		now := time.Now()
		err = os.Chtimes(dir, now, now)
	}
	return err
}

// ResetFactors takes second factor and passkeys away from a user who has lost
// them, and ends the sessions. A server may have the folder open.
func ResetFactors(path string, of cloud.UserID) error {
	err := errors.Join(
		file.Remove(filepath.Join(path, factorsDir, totp.FileOf(of))),
		file.Remove(filepath.Join(path, passkeysDir, passkey.FileOf(of))),
		leaveNotice(path, of),
	)
	return cloud.E("idp.ResetFactors", cloud.Ref{}, err)
}

// notices is the folder as a server sees it.
type notices struct {
	dir   string
	mu    sync.Mutex   // held while they are read
	stamp atomic.Int64 // mtime of the folder when they were
}

// heed does what notices say. Without any it costs one stat.
func (p *Provider) heed() {
	n := &p.notices
	if now, ok := n.mtime(); !ok || now == n.stamp.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now, ok := n.mtime() // before reading: what comes meanwhile is seen next time
	if !ok || now == n.stamp.Load() {
		return
	}
	left, err := os.ReadDir(n.dir)
	for _, f := range left {
		if id, derr := b64.DecodeString(f.Name()); derr == nil {
			err = errors.Join(err, p.ended(context.Background(), cloud.UserID(id)), os.Remove(filepath.Join(n.dir, f.Name())))
		}
	}
	if err != nil { // said once; the sessions have ended in memory
		p.log.Error("what another process asked for is not all done", "folder", n.dir, "error", err)
	}
	n.stamp.Store(now)
}

func (n *notices) mtime() (int64, bool) {
	var st unix.Stat_t
	if unix.Stat(n.dir, &st) != nil {
		return 0, false
	}
	return st.Mtim.Nano(), true
}

// ended is for a user whose password was changed elsewhere, or who is no more.
func (p *Provider) ended(ctx context.Context, of cloud.UserID) error {
	if _, err := p.dir.User(ctx, "id", string(of)); cloud.KindOf(err) == cloud.NotExist {
		return p.Forget(ctx, of)
	}
	return p.SignOut(ctx, of)
}
