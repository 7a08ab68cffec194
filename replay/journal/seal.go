package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"respect/replay"
	"respect/replay/durable"
)

// A seal is a note, signed with Ed25519, that says where the chain of a session stands. Its text is four lines:
//
//	respect journal
//	<session>
//	<seq> <hash>
//	<time>
//
// with the seq and hash of the last line before the seal. The format of the signed note is that of golang.org/x/mod/sumdb/note, so that any program that
// knows it can check one.

// sealOrigin is the first line of a seal's text.
const sealOrigin = "respect journal"

// Seal is what a note says.
type Seal struct {
	Session string
	Seq     uint64
	Hash    string // hex
	Time    time.Time
	Key     string // name of the key
}

func (s Seal) text() string {
	return fmt.Sprintf("%s\n%s\n%d %s\n%s\n", sealOrigin, s.Session, s.Seq, s.Hash, s.Time.UTC().Format(time.RFC3339Nano))
}

// parseSeal is the inverse of text: parseSeal(s.text()) == s.
func parseSeal(text string) (s Seal, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != sealOrigin || lines[4] != "" {
		return s, errors.New("is no seal of a journal")
	}
	seq, hash, ok := strings.Cut(lines[2], " ")
	s.Session, s.Hash = lines[1], hash
	if s.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil || !ok || strconv.FormatUint(s.Seq, 10) != seq {
		return s, errors.New("is no seal of a journal: its place is not a number and a hash")
	}
	if s.Time, err = time.Parse(time.RFC3339Nano, lines[3]); err != nil {
		return s, errors.New("is no seal of a journal: its time cannot be read")
	}
	if s.text() != text {
		return s, errors.New("is no seal of a journal")
	}
	return s, nil
}

// OpenSeal checks a signed note under one of the public keys and reads it.
func OpenSeal(signed []byte, keys ...string) (Seal, error) {
	var verifiers []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return Seal{}, fmt.Errorf("the key %q cannot be used: %w", k, err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return Seal{}, err
	}
	s, err := parseSeal(n.Text)
	if len(n.Sigs) > 0 {
		s.Key = n.Sigs[0].Name
	}
	return s, err
}

// CheckKey says what is wrong with a public key.
func CheckKey(public string) error {
	_, err := note.NewVerifier(public)
	return err
}

// Key seals the journals of one state directory.
type Key struct {
	signer note.Signer
	public string
}

// Public is the key that checks the seals, in the format of golang.org/x/mod/sumdb/note: name, hash and key, with "+" between.
func (k *Key) Public() string { return k.public }

// The files of the key. The private one never leaves its place; the public one may be copied anywhere.
const (
	keyDir     = "keys"
	keyFile    = "seal.key"
	publicFile = "seal.pub"
	headsFile  = "heads.notes"
)

// OpenKey opens the key of a state directory, which is made at first use. name says whose it is.
func OpenKey(fsys durable.FS, stateDir, name string, random io.Reader) (*Key, error) {
	dir := filepath.Join(stateDir, keyDir)
	if k, err := readKey(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, err
	}
	lock, err := waitFor(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	k, err := makeKey(fsys, dir, name, random)
	return k, errors.Join(err, lock.Release())
}

// waitFor takes a lock that others hold for a moment only.
func waitFor(name string) (*durable.Lock, error) {
	for try := 0; ; try++ {
		l, err := durable.Acquire(name)
		if !errors.Is(err, durable.ErrLocked) || try == 100 {
			return l, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func makeKey(fsys durable.FS, dir, name string, random io.Reader) (*Key, error) {
	if k, err := readKey(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k, err // another process was quicker
	}
	private, public, err := note.GenerateKey(random, keyName(name))
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	// The public one first: with the private one there the key is whole.
	if err := durable.ReplaceFile(fsys, filepath.Join(dir, publicFile), []byte(public+"\n")); err != nil {
		return nil, err
	}
	if err := durable.ReplaceFile(fsys, filepath.Join(dir, keyFile), []byte(private+"\n")); err != nil {
		return nil, err
	}
	return readKey(dir)
}

// keyName is a name as a key may have it: without spaces and plus signs.
func keyName(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '+' || r >= 0x7f {
			return '-'
		}
		return r
	}, "respect-"+s)
}

func readKey(dir string) (*Key, error) {
	private, err := durable.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	public, err := durable.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		return nil, fmt.Errorf("the key that seals journals is not whole: %v", err) // not fs.ErrNotExist: no other key is made in its place
	}
	k := &Key{public: strings.TrimSpace(string(public))}
	if k.signer, err = note.NewSigner(strings.TrimSpace(string(private))); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, keyFile), err)
	}
	v, err := note.NewVerifier(k.public)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, publicFile), err)
	}
	if v.KeyHash() != k.signer.KeyHash() || v.Name() != k.signer.Name() {
		return nil, fmt.Errorf("%s and %s do not belong together", keyFile, publicFile)
	}
	return k, nil
}

// PublicKey is the public key of a state directory; "" if nothing was ever sealed there.
func PublicKey(stateDir string) (string, error) {
	b, err := durable.ReadFile(filepath.Join(stateDir, keyDir, publicFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// ErrWitness says that a seal stands in the journal and could not be written to every other place where it belongs.
var ErrWitness = errors.New("is not witnessed")

// Seal signs where the chain stands, appends the note as an event, makes both durable, and writes the note to heads.notes and the witness. It must be called
// before and after what somebody may later want to deny. Without a key it only syncs. After an error that wraps ErrWitness the journal can still be written.
func (w *Writer) Seal() error {
	w.sealing.Lock()
	defer w.sealing.Unlock()
	if w.key == nil {
		return w.Sync()
	}
	signed, err := w.appendSeal()
	if err != nil {
		return err
	}
	if err := w.Sync(); err != nil {
		return err
	}
	var failed []error
	for i := range w.witnesses {
		p := &w.witnesses[i]
		p.behind = append(append(p.behind, '\n'), signed...)
		if err := w.witness(p.name, p.behind); err != nil {
			failed = append(failed, err)
			continue
		}
		p.behind = nil
	}
	if len(failed) > 0 {
		return fmt.Errorf("journal: seal %w: %w", ErrWitness, errors.Join(failed...))
	}
	return nil
}

// witness is a file that has the seals as well.
type witness struct {
	name   string
	behind []byte // notes that could not be written yet, each behind an empty line: a note that a crash cut off before it must not swallow it
}

// appendSeal signs the last line and appends the note right behind it.
func (w *Writer) appendSeal() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	s := Seal{Session: w.id, Seq: w.seq - 1, Hash: w.prev, Time: w.now().UTC()}
	signed, err := note.Sign(&note.Note{Text: s.text()}, w.key.signer)
	if err != nil {
		return nil, fmt.Errorf("journal: seal: %w", err)
	}
	return signed, w.append(replay.KindSeal, replay.Seal{Note: string(signed)})
}

// witness appends notes to a file in one write, so that those of several processes do not mix.
func (w *Writer) witness(name string, notes []byte) (err error) {
	made := !exists(name)
	f, err := w.fs.Append(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(notes); err != nil {
		return err
	}
	if err := f.Sync(); err != nil || !made {
		return err
	}
	return w.fs.SyncDir(filepath.Dir(name))
}
