// Command picture makes demo.svg, the README's picture of a terminal, from a real run of the demo. From the module's directory:
//
//	go run ./.github/picture
package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hinshun/vt10x"

	"respect/shell/terminal/terminaltest"
)

const (
	out    = ".github/picture/demo.svg"
	dir    = "/tmp/respect-demo" // it stands in the picture
	loop   = "db.families.find().forEach(f => db.families.deleteOne({_id: f._id}))"
	reason = "clean up test families"

	columns = 100
	rows    = 500 // more than the whole run fills: nothing scrolls away
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	tmp, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	bin := filepath.Join(tmp, "respect")
	build := exec.Command("go", "build", "-tags", "ferretdb_no_postgresql", "-o", bin, "./cmd/respect")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("the demo's directory must be new: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	transcript, err := play(bin)
	if err != nil {
		return err
	}
	svg, err := picture(transcript)
	if err != nil {
		return err
	}
	return os.WriteFile(out, svg, 0o644) //nolint:gosec // to be published
}

// play lets the demo run, up to the prompt behind the receipt, and returns what it has written.
func play(bin string) (string, error) {
	cmd := exec.Command(bin, "demo", "--dir", dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // no NO_COLOR, no RESPECT_…
	s, err := terminaltest.Start(cmd, columns, 0)
	if err != nil {
		return "", err
	}
	defer s.Close()
	line := func(text string) error { return errors.Join(s.Type(text), s.Enter()) }
	for _, step := range []func() error{
		func() error { return s.Expect("PRODUCTION famigo> ") },
		func() error { return line(loop) },
		func() error { return s.Expect("What is this session for?") },
		func() error { return line(reason) },
		func() error { return s.Expect("To run it, type: ") },
		func() error {
			time.Sleep(time.Second) // keys count only after a silence
			phrase, err := s.Phrase()
			if err != nil {
				return err
			}
			return line(phrase)
		},
		func() error { return s.Expect("to take it back: ") },
		func() error { return s.Expect("PRODUCTION famigo> ") },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	time.Sleep(time.Second) // the prompt is drawn
	transcript := s.Output()
	if err := s.Send("\x04"); err != nil {
		return "", err
	}
	if _, err := s.Wait(); err != nil {
		return "", err
	}
	return transcript, nil
}

// Measures in pixels. 0.6 em is how wide most monospaced fonts are; textLength makes it true of the others.
const (
	fontSize   = 14.0
	cellWidth  = 0.6 * fontSize
	cellHeight = 19.0
	baseline   = 14.0 // below a row's upper edge
	margin     = 16.0
)

const (
	foreground = "#d5dbe3"
	background = "#0d1117"
)

var palette = [16]string{
	"#484f58", "#e0443e", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
	"#6e7681", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
}

const bold = 1 << 2 // in vt10x.Glyph.Mode, which has no exported names

// picture shows the screen that transcript makes.
func picture(transcript string) ([]byte, error) {
	screen := vt10x.New(vt10x.WithSize(columns, rows))
	if _, err := screen.Write([]byte(transcript)); err != nil {
		return nil, err
	}
	cursor := screen.Cursor()
	height := cursor.Y + 1 // nothing stands below the prompt
	var b bytes.Buffer
	w, h := 2*margin+columns*cellWidth, 2*margin+float64(height)*cellHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">`+"\n", w, h, w, h)
	b.WriteString("<title>respect demo: a loop that deletes every document is asked about first, and leaves a receipt</title>\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", background)
	fmt.Fprintf(&b, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace" font-size="%.0f" fill="%s">`+"\n", fontSize, foreground)
	for y := range height {
		for x := 0; x < columns; {
			first := screen.Cell(x, y)
			var text strings.Builder
			end := x
			for ; end < columns; end++ {
				c := screen.Cell(end, y)
				if c.FG != first.FG || c.BG != first.BG || c.Mode&bold != first.Mode&bold {
					break
				}
				text.WriteRune(max(c.Char, ' ')) // nothing was ever written to a zero
			}
			if err := span(&b, x, y, text.String(), first); err != nil {
				return nil, err
			}
			x = end
		}
	}
	if screen.CursorVisible() {
		rect(&b, cursor.X, cursor.Y, 1, foreground)
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes(), nil
}

// span draws text of one look, which begins in column x of row y.
func span(b *bytes.Buffer, x, y int, text string, look vt10x.Glyph) error {
	fg, err := colour(look.FG)
	if err != nil {
		return err
	}
	bg, err := colour(look.BG)
	if err != nil {
		return err
	}
	if bg != background {
		rect(b, x, y, len([]rune(text)), bg)
	}
	// Spaces at the ends show nothing, and where they are kept is not the same everywhere.
	trimmed := strings.TrimLeft(text, " ")
	x += len(text) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, " ")
	if trimmed == "" {
		return nil
	}
	fmt.Fprintf(b, `<text xml:space="preserve" x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"`,
		margin+float64(x)*cellWidth, margin+float64(y)*cellHeight+baseline, float64(len([]rune(trimmed)))*cellWidth)
	if fg != foreground {
		fmt.Fprintf(b, ` fill="%s"`, fg)
	}
	if look.Mode&bold != 0 {
		b.WriteString(` font-weight="bold"`)
	}
	b.WriteByte('>')
	if err := xml.EscapeText(b, []byte(trimmed)); err != nil {
		return err
	}
	b.WriteString("</text>\n")
	return nil
}

func rect(b *bytes.Buffer, x, y, width int, fill string) {
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" fill="%s"/>`+"\n",
		margin+float64(x)*cellWidth, margin+float64(y)*cellHeight, float64(width)*cellWidth, cellHeight, fill)
}

// colour is what c looks like. The emulator has swapped the two of reversed text, so either default can come.
func colour(c vt10x.Color) (string, error) {
	switch {
	case c == vt10x.DefaultFG:
		return foreground, nil
	case c == vt10x.DefaultBG:
		return background, nil
	case int(c) < len(palette):
		return palette[c], nil
	}
	return "", fmt.Errorf("colour %d is not in the palette", c)
}
