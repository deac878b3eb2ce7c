// Package daemon runs the real binary for tests: it builds it once, starts it
// on a free port over a folder of the test's, kills it and starts it again.
// It is no fake: what it runs is what users run.
package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Password is that of the user admin.
const Password = "correct horse battery staple"

var build struct {
	once sync.Once
	path string
	err  error
}

// Binary is the path of the server, built once for each test process.
func Binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() {
		dir, err := os.MkdirTemp("", "opencloud-bin-")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "opencloud")
		cmd := exec.Command("go", "build", "-o", build.path, "opencloud/cmd/opencloud")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// A Server is the binary over one folder.
type Server struct {
	URL string // http://127.0.0.1:port
	Dir string // OC_BASE_DATA_PATH; the tree is below storage/users
	Env []string

	binary string
	addr   string
	cmd    *exec.Cmd
	exited chan error
	Log    *Log // what it wrote to stdout and stderr
}

// New prepares a server over dir (a fresh folder when empty) without starting
// it. It speaks plain HTTP with Basic authentication; env adds to or replaces
// the variables that say so.
func New(t testing.TB, dir string, env ...string) *Server {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	addr, debug := FreeAddr(t), FreeAddr(t)
	s := &Server{URL: "http://" + addr, Dir: dir, binary: Binary(t), addr: addr, Log: &Log{filepath.Join(t.TempDir(), "log")}}
	s.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"OC_URL=" + s.URL,
		"OC_BASE_DATA_PATH=" + dir,
		"OC_CONFIG_DIR=" + filepath.Join(dir, "config"),
		"PROXY_HTTP_ADDR=" + addr,
		"PROXY_DEBUG_ADDR=" + debug,
		"PROXY_TLS=false",
		"PROXY_ENABLE_BASIC_AUTH=true",
		"IDM_ADMIN_PASSWORD=" + Password,
		"OC_LOG_LEVEL=warn",
	}, env...)
	return s
}

// Start is New and Up; the server is stopped when the test ends.
func Start(t testing.TB, dir string, env ...string) *Server {
	t.Helper()
	s := New(t, dir, env...)
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("server said:\n%s", s.Log)
		}
	})
	return s
}

// FreeAddr is a loopback address on which nobody listens.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Up starts the process and returns when it says that it is ready
// (sd_notify), or has failed to become so.
func (s *Server) Up() error {
	sock, err := os.MkdirTemp("", "oc-notify-")
	if err != nil {
		return err
	}
	name := filepath.Join(sock, "s")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}

	s.cmd = exec.Command(s.binary, "server")
	s.cmd.Env = append(s.Env[:len(s.Env):len(s.Env)], "NOTIFY_SOCKET="+name)
	log, err := s.Log.Open()
	if err == nil {
		s.cmd.Stdout, s.cmd.Stderr = log, log
		err = s.cmd.Start()
		log.Close()
	}
	if err != nil {
		notify.Close()
		os.RemoveAll(sock)
		return err
	}
	exited := make(chan error, 1)
	s.exited = exited
	cmd := s.cmd
	ready := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		notify.Close()
		os.RemoveAll(sock)
		exited <- err
	}()
	go func() {
		buf := make([]byte, 1024)
		for {
			notify.SetReadDeadline(time.Now().Add(2 * time.Minute))
			n, err := notify.Read(buf)
			if err != nil || strings.Contains(string(buf[:n]), "READY=1") {
				ready <- err
				return
			}
		}
	}()
	if err := <-ready; err != nil {
		s.Kill()
		return fmt.Errorf("server did not become ready: %w\n%s", err, s.Log)
	}
	return nil
}

// Kill ends the process the hard way, as a crash would, and waits until it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the process to end and returns how it did.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) error {
	if s.exited == nil {
		return nil
	}
	s.cmd.Process.Signal(sig)
	err := <-s.exited
	s.exited = nil
	return err
}

// PID is the process's, while it runs.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Run runs another verb of the binary over the same folder.
func (s *Server) Run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = s.Env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Request is one made by the user admin, to a path of the server.
func (s *Server) Request(method, path string, body io.Reader, header ...string) (*http.Request, error) {
	r, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("admin", Password)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r, nil
}

// Do makes a request and reads the answer whole.
func (s *Server) Do(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := s.Request(method, path, strings.NewReader(body), header...)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(got)
}

// A Log is a file that the process writes into itself: what it said before it
// became ready is there when it is.
type Log struct{ path string }

// Open is for a process to write into.
func (l *Log) Open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

func (l *Log) String() string {
	b, err := os.ReadFile(l.path)
	if err != nil {
		return err.Error()
	}
	if len(b) > 64<<10 {
		b = b[len(b)-64<<10:]
	}
	return string(b)
}
