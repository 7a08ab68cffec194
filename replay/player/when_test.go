package player

import (
	"strings"
	"testing"
	"time"
)

// Sunday evening.
var sunday = time.Date(2026, 11, 22, 18, 47, 2, 0, time.FixedZone("CET", 3600))

func TestWhen(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for text, want := range map[string][2]string{
		"now":                       {"2026-11-22 18:47:02", ""},
		"2h":                        {"2026-11-22 16:47:02", ""},
		"2h ago":                    {"2026-11-22 16:47:02", ""},
		"1h30m":                     {"2026-11-22 17:17:02", ""},
		"90m":                       {"2026-11-22 17:17:02", ""},
		"3d":                        {"2026-11-19 18:47:02", ""},
		"1w2d":                      {"2026-11-13 18:47:02", ""},
		"3 days ago":                {"2026-11-19 18:47:02", ""},
		"an hour ago":               {"2026-11-22 17:47:02", ""},
		"2 months ago":              {"2026-09-22 18:47:02", ""},
		"today":                     {"2026-11-22 00:00:00", "2026-11-23 00:00:00"},
		" Yesterday ":               {"2026-11-21 00:00:00", "2026-11-22 00:00:00"},
		"yesterday 18:00":           {"2026-11-21 18:00:00", ""},
		"18:00":                     {"2026-11-22 18:00:00", ""},
		"18:00:30":                  {"2026-11-22 18:00:30", ""},
		"sunday":                    {"2026-11-22 00:00:00", "2026-11-23 00:00:00"},
		"last sunday":               {"2026-11-15 00:00:00", "2026-11-16 00:00:00"},
		"monday":                    {"2026-11-16 00:00:00", "2026-11-17 00:00:00"},
		"fri 9:30":                  {"2026-11-20 09:30:00", ""},
		"this week":                 {"2026-11-16 00:00:00", "2026-11-23 00:00:00"},
		"last week":                 {"2026-11-09 00:00:00", "2026-11-16 00:00:00"},
		"last month":                {"2026-10-01 00:00:00", "2026-11-01 00:00:00"},
		"this month":                {"2026-11-01 00:00:00", "2026-12-01 00:00:00"},
		"last year":                 {"2025-01-01 00:00:00", "2026-01-01 00:00:00"},
		"2026-11-20":                {"2026-11-20 00:00:00", "2026-11-21 00:00:00"},
		"2026-11":                   {"2026-11-01 00:00:00", "2026-12-01 00:00:00"},
		"2025":                      {"2025-01-01 00:00:00", "2026-01-01 00:00:00"},
		"2026-11-20 18:00":          {"2026-11-20 18:00:00", ""},
		"2026-11-20T18:00":          {"2026-11-20 18:00:00", ""},
		"2026-11-20T18:00:05":       {"2026-11-20 18:00:05", ""},
		"2026-11-20T18:00:05Z":      {"2026-11-20 19:00:05", ""},
		"2026-11-20t18:00:05+01:00": {"2026-11-20 18:00:05", ""},
	} {
		from, to, err := When(text, sunday)
		if want[1] == "" {
			want[1] = want[0]
		}
		if got := [2]string{from.In(sunday.Location()).Format(layout), to.In(sunday.Location()).Format(layout)}; err != nil || got != want {
			t.Errorf("%q is %v, want %v (%v)", text, got, want, err)
		}
	}
	for _, text := range []string{"", " ", "soon", "2", "2x", "h", "2h3", "-2h", "2h later", "2026-13-01", "2026-02-30", "last week 18:00", "2026-11 18:00", "25:00", "ago", "days ago", "x days ago", "9999999h", "last", "last now"} {
		if from, to, err := When(text, sunday); err == nil {
			t.Errorf("%q is %v to %v", text, from, to)
		}
	}
}

// A day has as many hours as its zone gives it.
func TestWhenOnTheDayTheClocksChange(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Skip(err)
	}
	from, to, err := When("2026-10-25", time.Date(2026, 11, 1, 12, 0, 0, 0, zone))
	if err != nil || to.Sub(from) != 25*time.Hour {
		t.Errorf("%v to %v: %v, %v", from, to, to.Sub(from), err)
	}
}

func FuzzWhen(f *testing.F) {
	for _, s := range []string{"now", "2h", "3 days ago", "yesterday", "yesterday 18:00", "last monday", "2026-11-20", "2026-11-20T18:00:05+01:00", "2026", "1w2d", "an hour ago", "999999w", "fri 9:30", "\x00", "١h"} {
		f.Add(s, int64(1795369622))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		now := time.Unix(unix%(1<<36), 0).UTC()
		from, to, err := When(text, now)
		if err != nil {
			if !from.IsZero() || !to.IsZero() {
				t.Errorf("%q: an error and %v to %v", text, from, to)
			}
			return
		}
		if to.Before(from) {
			t.Errorf("%q ends before it begins: %v to %v", text, from, to)
		}
		if to.Sub(from) > 366*24*time.Hour {
			t.Errorf("%q is longer than a year: %v to %v", text, from, to)
		}
		if f2, t2, err := When(" "+strings.ToUpper(strings.TrimSpace(text))+"\t", now); err != nil || !f2.Equal(from) || !t2.Equal(to) {
			t.Errorf("%q means something else with spaces: %v to %v, %v", text, f2, t2, err)
		}
		// What it means can be said in full, and then does not depend on now.
		if y := from.UTC().Year(); y < 0 || y > 9999 {
			return
		}
		full := from.UTC().Format(time.RFC3339Nano)
		if f3, _, err := When(full, now.AddDate(1, 2, 3)); err != nil || !f3.Equal(from) {
			t.Errorf("%q is %s, which is %v, %v", text, full, f3, err)
		}
	})
}
