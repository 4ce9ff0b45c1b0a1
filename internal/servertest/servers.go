//go:build unix

package servertest

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres starts PostgreSQL and returns its address; its user is a superuser.
func Postgres(t testing.TB) string {
	t.Helper()
	root, bin, err := postgres(t)
	if err != nil {
		missing(t, "there is no PostgreSQL (install the package postgresql): %v", err)
	}
	dir := short(t)
	var as *syscall.Credential
	if os.Geteuid() == 0 { // the server refuses to run as root
		as = nobody(t)
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	program := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
		if root != "" {
			cmd.Env = libraries(root)
		}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := program("initdb", "--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8", "--username=strands", "-D", data).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	start(t, program("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-F"), "ready to accept connections")
	return "postgres:///postgres?user=strands&host=" + dir
}

// postgres finds the programs, and what they were unpacked into; "" = they are
// the machine's own.
func postgres(t testing.TB) (root, bin string, err error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return "", filepath.Dir(path), nil
		}
	}
	const pattern = "usr/lib/postgresql/*/bin/initdb" // where Debian has them
	if found, _ := filepath.Glob("/" + pattern); len(found) > 0 {
		return "", filepath.Dir(found[len(found)-1]), nil
	}
	out, err := command("", "apt-cache", "depends", "--no-recommends", "--no-suggests", "postgresql")
	if err != nil {
		return "", "", err
	}
	_, version, _ := strings.Cut(string(out), "Depends: ")
	version = strings.Fields(version + " ?")[0]
	root, err = debian(t, version, "libpq5", "libllvm14", "libicu72", "libxslt1.1")
	if err != nil {
		return "", "", err
	}
	found, _ := filepath.Glob(filepath.Join(root, pattern))
	if len(found) == 0 {
		return "", "", fmt.Errorf("%s has no initdb", version)
	}
	return root, filepath.Dir(found[0]), nil
}

func nobody(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		t.Fatal(u)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// MariaDB starts MariaDB, without accounts, and returns the address of an
// empty database called test.
func MariaDB(t testing.TB) string {
	t.Helper()
	root, err := debian(t, "mariadb-server-core", "mariadb-common", "libaio1", "libnuma1", "liburing2")
	if err != nil {
		missing(t, "there is no MariaDB: %v", err)
	}
	dir := short(t)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	if err := os.MkdirAll(filepath.Join(data, "test"), 0o755); err != nil { // a folder is a database
		t.Fatal(err)
	}
	share := filepath.Join(root, "usr/share/mysql")
	cmd := exec.Command(filepath.Join(root, "usr/sbin/mariadbd"), "--no-defaults", "--datadir="+data, "--lc-messages-dir="+share,
		"--character-sets-dir="+filepath.Join(share, "charsets"), "--skip-networking", "--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"),
		"--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0", "--secure-file-priv="+dir)
	if os.Geteuid() == 0 {
		cmd.Args = append(cmd.Args, "--user=root")
	}
	cmd.Env = libraries(root)
	start(t, cmd, "ready for connections")
	return "mysql://root@localhost/test?socket=" + socket
}

//go:embed testdata/ferretdb
var ferretModule embed.FS

// MongoDB starts FerretDB, which speaks MongoDB's protocol, and returns the
// address of a database called test. It is built from source the first time,
// in the last version that keeps documents in SQLite.
func MongoDB(t testing.TB) string {
	t.Helper()
	bin, err := made(t, "ferretdb-1.24.0", func(dir string) error {
		source := filepath.Join(dir, "source")
		if err := os.Mkdir(source, 0o755); err != nil {
			return err
		}
		// Under other names here: a folder with a go.mod cannot be embedded.
		for to, from := range map[string]string{"go.mod": "mod.txt", "go.sum": "sum.txt", "main.go": "server.txt"} {
			text, err := ferretModule.ReadFile("testdata/ferretdb/" + from)
			if err == nil {
				err = os.WriteFile(filepath.Join(source, to), text, 0o644)
			}
			if err != nil {
				return err
			}
		}
		out, err := fetching(func() ([]byte, error) {
			cmd := exec.Command("go", "build", "-mod=mod", "-o", filepath.Join(dir, "ferretdb"), ".")
			cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
			return cmd.CombinedOutput()
		})
		if err != nil {
			return fmt.Errorf("building FerretDB: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		missing(t, "there is no MongoDB server: %v", err)
	}
	dir, at := short(t), freePort(t)
	start(t, exec.Command(filepath.Join(bin, "ferretdb"), at, dir), "listening soon")
	return "mongodb://" + at + "/test"
}
