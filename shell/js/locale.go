package js

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// The engine knows no locales: it writes every date in one way, and leaves the options aside, a time zone among them. A time that is silently wrong is worse than none. So what
// is known here is written as mongosh writes it, and the rest is an error that says what to use.

// dates are how locales write dates and times. Source: https://cldr.unicode.org, version 44
var dates = map[string]struct{ date, time, between string }{
	"en-US": {"1/2/2006", "3:04:05 PM", ", "}, "en-GB": {"02/01/2006", "15:04:05", ", "}, "de-DE": {"2.1.2006", "15:04:05", ", "}, "fr-FR": {"02/01/2006", "15:04:05", " "},
	"it-IT": {"2/1/2006", "15:04:05", ", "}, "nl-NL": {"2-1-2006", "15:04:05", ", "}, "pt-BR": {"02/01/2006", "15:04:05", ", "}, "sv-SE": {"2006-01-02", "15:04:05", " "},
}

// numbers are what locales put between thousands, and before a fraction.
var numbers = map[string][2]string{"en-US": {",", "."}, "en-GB": {",", "."}, "de-DE": {".", ","}, "fr-FR": {"\u202f", ","}, "nl-NL": {".", ","}, "pt-BR": {".", ","}, "sv-SE": {"\u00a0", ","}}

var languages = map[string]string{"en": "en-US", "de": "de-DE", "fr": "fr-FR", "it": "it-IT", "nl": "nl-NL", "pt": "pt-BR", "sv": "sv-SE"}

// localeOf is the locale that a call names, or mongosh's own.
func localeOf[T any](a args, i int, known map[string]T, instead string) T {
	name := "en-US"
	if v := a.at(i); !goja.IsUndefined(v) {
		if list, ok := export[*array](v); ok && list.Len() > 0 {
			v = list.Get(0)
		} else if obj, ok := v.(*goja.Object); ok && obj.ClassName() == "Array" && a.vm.lengthOf(obj) > 0 {
			v = obj.Get("0")
		}
		name = v.String()
	}
	if whole := languages[name]; whole != "" {
		name = whole
	}
	found, ok := known[name]
	if !ok {
		var names []string
		for n := range known {
			names = append(names, n)
		}
		slices.Sort(names)
		a.vm.tooLarge("%s: respect does not know the locale %q, only %s: use %s", a.method, name, strings.Join(names, ", "), instead)
	}
	return found
}

// localeOptions are the options of a call, each of which must be known.
func localeOptions(a args, i int, known, instead string) options {
	o := options{args: a}
	raw := a.optDoc(i, "options")
	if raw == nil {
		return o
	}
	elems, err := raw.Elements()
	a.check(err)
	for _, e := range elems {
		if !slices.Contains(strings.Fields(known), e.Key()) {
			a.vm.tooLarge("%s: respect does not know the option %q, only %s: use %s", a.method, e.Key(), known, instead)
		}
		o.elems = append(o.elems, e)
	}
	return o
}

const datesInstead = "toISOString(), or $dateToString with a format and a timezone"

// localeDate is toLocaleString and its kind of a Date.
func (vm *VM) localeDate(name string, original native) native {
	return func(call goja.FunctionCall) goja.Value {
		obj, ok := call.This.(*goja.Object)
		if !ok {
			return original(call)
		}
		ms, ok := vm.dateMillis(obj)
		if !ok {
			return original(call)
		}
		a := args{vm: vm, method: name, values: call.Arguments, reads: true}
		locale := localeOf(a, 0, dates, datesInstead)
		zone := time.Local
		if v := localeOptions(a, 1, "timeZone", datesInstead).get("timeZone"); v.Type != 0 {
			text, _ := v.StringValueOK()
			at, err := time.LoadLocation(text)
			if err != nil || text == "" || text == "Local" {
				vm.tooLarge("Invalid time zone specified: %s", text)
			}
			zone = at
		}
		t := time.UnixMilli(ms).In(zone)
		switch name {
		case "toLocaleDateString":
			return vm.rt.ToValue(t.Format(locale.date))
		case "toLocaleTimeString":
			return vm.rt.ToValue(t.Format(locale.time))
		}
		return vm.rt.ToValue(t.Format(locale.date + locale.between + locale.time))
	}
}

// localeNumber is toLocaleString of a Number or a BigInt.
func (vm *VM) localeNumber(name string, original native) native {
	return func(call goja.FunctionCall) goja.Value {
		v := call.This
		if obj, ok := v.(*goja.Object); ok {
			var err error
			if v, err = vm.unboxed["Number"](obj); err != nil {
				return original(call)
			}
		}
		const instead = "toFixed(), or toString()"
		a := args{vm: vm, method: name, values: call.Arguments, reads: true}
		marks := localeOf(a, 0, numbers, instead)
		o := localeOptions(a, 1, "minimumFractionDigits maximumFractionDigits useGrouping", instead)
		digits := func(option string, otherwise int) int {
			v := o.get(option)
			if v.Type == 0 {
				return otherwise
			}
			n, ok := v.AsFloat64OK()
			if !ok || n < 0 || n > 100 {
				vm.tooLarge("%s value is out of range.", option)
			}
			return int(n)
		}
		least := digits("minimumFractionDigits", 0)
		most := digits("maximumFractionDigits", max(3, least))
		if most < least {
			vm.tooLarge("maximumFractionDigits value is out of range.")
		}
		text, special := decimal(v, most)
		if special {
			return vm.rt.ToValue(text)
		}
		group := marks[0]
		if g := o.get("useGrouping"); g.Type == bson.TypeBoolean && !g.Boolean() {
			group = ""
		}
		return vm.rt.ToValue(grouped(text, least, group, marks[1]))
	}
}

// decimal is a number with at most so many digits behind the point, rounded as the language does: half away from zero.
func decimal(v goja.Value, most int) (text string, special bool) {
	if n, ok := bigOf(v); ok {
		return n.String(), false
	}
	f := v.ToFloat()
	switch {
	case math.IsNaN(f):
		return "NaN", true
	case math.IsInf(f, 1):
		return "\u221e", true
	case math.IsInf(f, -1):
		return "-\u221e", true
	}
	short, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64)) // as it is written, not as it is stored
	if !ok {
		return v.String(), true
	}
	text = short.FloatString(most)
	if math.Signbit(f) && !strings.HasPrefix(text, "-") {
		text = "-" + text
	}
	return text, false
}

// grouped puts the marks of a locale into a decimal number.
func grouped(text string, least int, group, point string) string {
	sign, rest := "", text
	if strings.HasPrefix(rest, "-") {
		sign, rest = "-", rest[1:]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	for len(fraction) > least && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	fraction += strings.Repeat("0", max(least-len(fraction), 0))
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(r)
	}
	if fraction != "" {
		b.WriteString(point + fraction)
	}
	return sign + b.String()
}

// localeText is a method of strings that the engine has for one locale: the root's, whose order of letters is that of most languages, and which has no Turkish i.
func (vm *VM) localeText(at int, known string) func(string, native) native {
	return func(name string, original native) native {
		return func(call goja.FunctionCall) goja.Value {
			a := args{vm: vm, method: name, values: call.Arguments, reads: true}
			if v := a.at(at); !goja.IsUndefined(v) && !goja.IsNull(v) {
				language, _, _ := strings.Cut(v.String(), "-")
				if !slices.Contains(strings.Fields(known), language) {
					vm.tooLarge("%s: respect does not know the rules of the locale %q", name, v.String())
				}
			}
			localeOptions(a, at+1, "", "a comparison of your own")
			return original(call)
		}
	}
}

// rootLanguages are sorted as the root locale sorts.
// Source: https://github.com/unicode-org/cldr/tree/main/common/collation
const rootLanguages = "en de fr it nl pt en-US"

func (vm *VM) boundLocales(on func(*goja.Object, string, func(string, native) native), proto func(string) *goja.Object) {
	on(proto("Date"), "toLocaleString toLocaleDateString toLocaleTimeString", vm.localeDate)
	on(proto("Number"), "toLocaleString", vm.localeNumber)
	on(proto("BigInt"), "toLocaleString", vm.localeNumber)
	on(proto("String"), "localeCompare", vm.localeText(1, rootLanguages))
	on(proto("String"), "toLocaleLowerCase toLocaleUpperCase", vm.localeText(0, rootLanguages+" es sv da nb fi pl"))
}
