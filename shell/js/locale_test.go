package js

import (
	"strings"
	"testing"
)

// A date or a number of a locale is what mongosh writes, or an error: never a wrong time.
func TestLocales(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`new Date('2024-01-05').toLocaleDateString('en-GB', {timeZone: 'UTC'})`: "05/01/2024", `new Date('2024-01-05').toLocaleString('de-DE', {timeZone: 'Europe/Berlin'})`: "5.1.2024, 01:00:00",
		`new Date(0).toLocaleString('en-US', {timeZone: 'America/New_York'})`: "12/31/1969, 7:00:00 PM", `new Date(0).toLocaleTimeString('sv', {timeZone: 'UTC'})`: "00:00:00",
		`(1234567.891).toLocaleString('en-US')`: "1,234,567.891", `(1234567.891).toLocaleString()`: "1,234,567.891", `(1234567.8915).toLocaleString('de-DE')`: "1.234.567,892", `(-1234.5).toLocaleString('en', {minimumFractionDigits: 2})`: "-1,234.50",
		`(0).toLocaleString()`: "0", `NaN.toLocaleString()`: "NaN", `(999.9999).toLocaleString()`: "1,000", `(12).toLocaleString('en', {useGrouping: false, minimumFractionDigits: 1})`: "12.0", `123456n.toLocaleString()`: "123,456",
		`[1234.5, 1].toLocaleString()`: "1,234.5,1", `'a'.localeCompare('b')`: "-1", `['b', 'a', '\u00e4'].sort((x, y) => x.localeCompare(y, 'de')).join('')`: "a\u00e4b", `'I'.toLocaleLowerCase()`: "i", `new Date(NaN).toLocaleString()`: "Invalid Date",
	} {
		if _, got, err := eval(t, &fake{}, js); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", js, got, err, want)
		}
	}
	for js, want := range map[string]string{
		`new Date(0).toLocaleString('xx')`: `does not know the locale "xx"`, `new Date(0).toLocaleString('en-US', {weekday: 'long'})`: `the option "weekday"`, `new Date(0).toLocaleString('en-US', {timeZone: 'Nowhere'})`: "Invalid time zone",
		`(1).toLocaleString('en', {style: 'currency', currency: 'EUR'})`: `the option "style"`, `'a'.localeCompare('b', 'sv')`: `the locale "sv"`, `'a'.localeCompare('b', undefined, {numeric: true})`: `the option "numeric"`, `'I'.toLocaleLowerCase('tr')`: `the locale "tr"`, `new Intl.DateTimeFormat()`: "Intl is in mongosh",
	} {
		if _, got, err := eval(t, &fake{}, js); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q %v, want %q", js, got, err, want)
		}
	}
}

// A TypeError names what it is about, as it stands in the script.
func TestTypeErrorsNameTheThing(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`db.people.nosuch()`: `"nosuch" is not a function`, `db.c.fnid({})`: `"fnid" is not a function; did you mean "find"?`, `db.c.find().foo()`: `"foo" is not a function`, `const o = {}; o.f()`: `"f" is not a function`,
		`rs.find()`: `"find" is not a function; did you mean "hint"?`, `const arr = []; arr.nofn()`: `"nofn" is not a function`, `let q; q.x`: "Cannot read properties of undefined or null (reading 'x'): that is what q is", `const o = {}; o.a.b`: "Cannot read properties of undefined or null (reading 'b'): that is what o.a is",
		`const o = {a: {}}; o.a.b.c()`: "Cannot read properties of undefined or null (reading 'c')", `let q = null; q()`: "q is not a function; it is null",
	} {
		_, _, err := eval(t, &fake{}, js)
		if err == nil || !strings.HasPrefix(err.Error(), "Uncaught TypeError: "+want+" (") {
			t.Errorf("%s: %v, want %q", js, err, want)
		}
	}
}
