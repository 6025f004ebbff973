"""Dates as they are said in a language, with its words for day, month and year: `ngày 5 tháng 3 năm 2024`."""

from keras_attention.data.world_dates.locales import locale_of, month_names
from keras_attention.data.world_dates.writers import english_ordinal

# By language; `{d}` is the day, `{m}` the month's name and `{n}` its number, `{y}` the year, `{o}` an English ordinal,
# `{s}` the last two digits of the year, `{b}` the Buddhist one.
PHRASES = {
    "ar": ("{d} من {m} {y}", "{d} {m} عام {y}", "{d} {m} لعام {y}", "يوم {d} {m} {y}", "{d} شهر {m} سنة {y}", "{d} {m} سنة {y}",
           "{d} {m} {y} م", "{d}/{n}/{y}م", "في {d} {m} {y}"),
    "az": ("{d} {m} {y}-ci il", "{y}-ci il {d} {m}"),
    "be": ("{d} {m} {y} года", "{d}-га {m} {y}"),
    "bg": ("{d} {m} {y} година", "{d}-ти {m} {y}", "{d} {m} {y}г."),
    "bn": ("{d}ই {m} {y}", "{d} {m}, {y} সাল", "{d} {m} {y} খ্রিস্টাব্দ"),
    "ca": ("{d} de {m} de l'any {y}", "dia {d} de {m} de {y}", "{d} {m} del {y}"),
    "cs": ("{d}. {m} roku {y}", "dne {d}. {m} {y}", "{d}.{m} {y}", "ze dne {d}. {n}. {y}"),
    "da": ("den {d}. {m} {y}", "d. {d}. {m} {y}", "d. {d}/{n} {y}", "{d}. {m} år {y}"),
    "de": ("{d}. {m} des Jahres {y}", "{d}ter {m} {y}", "{d}ten {m} {y}", "am {d}ten {m} {y}", "den {d}.{n}.{y}", "{d}. {m} i. J. {y}",
           "{d}.{m}.{y}", "{d}. {m}, {y}", "vom {d}. {m} {y}", "{d}.{m} {y}", "{d}.{n} {y}"),
    "el": ("{d}η {m} {y}", "στις {d} {m} του {y}", "{d} {m} του {y}", "{d}ης {m} {y}"),
    "en": ("{o} day of {m}, {y}", "{o} day of {m} {y}", "{m} {o} in the year {y}", "{m} the {o} of {y}", "day {d} of {m} {y}",
           "{d} of {m} {y}", "{d} of {m}, {y}", "{m} {o} of {y}", "{m} {d} of {y}", "{d} {m} of {y}", "{o} {m}, {y}", "{y}'s {m} {o}",
           "the {o} day of {m} in the year {y}", "{o}-{m}-{y}", "{o} {m}-{y}", "{m} {d}, of {y}", "{o} of {m}, in {y}",
           "{m} - {o} - {y}", "{o}, {m}, {y}", "{o} - {m} - {y}", "{m} the {o} {y}", "{o}/{m}/{y}", "day {d} month {n} year {y}",
           "{d}{m}, {y}", "{m}({d}) {y}", "{y} {m} {o}", "{y}, {m} {o}", "{y}, {o} {m}", "{y} {o} of {m}", "year {y} {m} {d}"),
    "es": ("día {d} de {m} del año {y}", "{d} días del mes de {m} de {y}", "{d} del mes de {m} de {y}", "{d} de {m} año {y}",
           "el día {d} de {m} de {y}", "{d}/{m} de {y}", "{d}. {m} {y}", "{m} {d} del {y}", "{d} {m} año {y}"),
    "eu": ("{y}eko {m}ren {d}a", "{y}ko {m}ren {d}an"),
    "fa": ("{d} {m} سال {y}", "{d} {m} {y} میلادی"),
    "fi": ("{d}. päivä {m} {y}", "{d}. {m} vuonna {y}", "{d}.{m} {y}"),
    "fil": ("ika-{d} ng {m} {y}", "ika-{d} ng {m}, {y}", "{m} {d} ng {y}"),
    "fr": ("le {d} du mois de {m} {y}", "{d} {m} de l'an {y}", "{d} {m} de l'année {y}", "le {d} {m} de {y}", "{d}e {m} {y}",
           "{d}ème jour de {m} {y}", "en date du {d} {m} {y}", "{d}. {m} {y}", "{d} {m} en {y}"),
    "gl": ("día {d} de {m} de {y}", "{d} de {m} do ano {y}"),
    "he": ("{d} ב{m} {y}", "ה-{d} ב{m} {y}", "ה־{d} ב{m}, {y}", "{d} {m} שנת {y}", "ב-{d} ב{m} {y}"),
    "hi": ("{d} {m} सन् {y}", "{d} {m}, सन {y}", "{m} {d}, {y} को", "{d} {m} {y} को"),
    "hr": ("{d}. {m} {y}. godine", "dana {d}. {m} {y}.", "{d}.{m} {y}."),
    "hu": ("{y}. {m} {d}-án", "{y}. {m} {d}-én", "{y}. év {m} {d}.", "{y} {m} {d}-i", "{y}. {m} hó {d}.", "{y}. {m} {d}. napján"),
    "hy": ("{d} {m} {y} թ.", "{y} թվականի {m} {d}"),
    "id": ("tanggal {d} {m} {y}", "{d} bulan {m} tahun {y}", "tgl {d} {m} {y}", "tgl. {d}-{n}-{y}", "{d} {m} tahun {y}", "per {d} {m} {y}"),
    "it": ("giorno {d} {m} {y}", "il giorno {d} del mese di {m} dell'anno {y}", "addì {d} {m} {y}", "lì {d} {m} {y}", "lì, {d}/{n}/{y}",
           "{d} {m} dell'anno {y}", "{d} {m} del {y}", "{d} di {m} {y}", "{d}. {m} {y}"),
    "ja": ("西暦{y}年{n}月{d}日", "{y} 年 {n} 月 {d} 日", "{y}年 {n}月 {d}日", "{y}年{n:02}月{d:02}日付", "{y}年{n}/{d}", "{y}年の{n}月{d}日", "{y}.{n}.{d}日"),
    "ka": ("{y} წლის {d} {m}", "{d} {m} {y} წ."),
    "kk": ("{y} ж. {d} {m}", "{y} жылғы {d} {m}"),
    "ko": ("{y}년도 {n}월 {d}일", "{y}년 {n}월{d}일", "{y}년{n}월{d}일", "{y}. {n}. {d}.", "{y}.{n}.{d}.", "{y}년 {n:02}월 {d:02}일", "서기 {y}년 {n}월 {d}일",
           "{y}년 {n}월 {d}일자", "{y}-{n}-{d}일", "{y}년 {n}/{d}", "{s}년 {n}월 {d}일", "{s}년 {n}월 {d}일", "'{s}년 {n}월 {d}일", "'{s}. {n}. {d}.",
           "{s}년{n}월{d}일"),
    "lt": ("{y} m. {m} {d} d.", "{y} m {m} {d}", "{y} metų {m} {d} diena"),
    "lv": ("{y}. gada {d}. {m}", "{y}.gada {d}.{m}", "{d}. {m} {y}. gadā"),
    "mk": ("{d} {m} {y} година", "{d}-ти {m} {y}"),
    "mn": ("{y} оны {n} сарын {d}", "{y} оны {m}ын {d}", "{y} оны {n}-р сарын {d}", "{y} оны {n} дугаар сарын {d}-ны өдөр"),
    "mr": ("{d} {m} सन {y}", "दि. {d} {m} {y}", "दिनांक {d}/{n}/{y}"),
    "ms": ("{d} haribulan {m} {y}", "{d} hb {m} {y}", "bertarikh {d} {m} {y}"),
    "nl": ("{d}ste {m} {y}", "de {d}e {m} {y}", "{d} {m} anno {y}", "{d}de {m} {y}", "d.d. {d} {m} {y}", "dd. {d}-{n}-{y}", "{d} {m} van {y}"),
    "no": ("den {d}. {m} {y}", "{d}. {m} år {y}", "{d}/{n} {y}", "{d}.{m} {y}"),
    "pl": ("{d} {m} {y} roku", "dnia {d} {m} {y} r", "{d}-go {m} {y}", "{d} {m} roku {y}", "{d}-{n}-{y}r.", "{d}.{n}.{y}r"),
    "pt": ("dia {d} de {m} de {y}", "{d} de {m} do ano de {y}", "{d} do mês de {m} de {y}", "{d} dias do mês de {m} de {y}", "{d}/{m} de {y}",
           "{m} {d} de {y}", "{d} {m} ano {y}"),
    "ro": ("{d} {m} anul {y}", "ziua de {d} {m} {y}", "în {d} {m} {y}", "{d} ale lunii {m} {y}"),
    "ru": ("{d}-го {m} {y}-го года", "{d}-е {m} {y}", "{d} {m} {y}г.", "{d} {m} {y}г", "{d}.{n:02}.{y}г.", "«{d}» {m} {y} г.", "\"{d}\" {m} {y} года", "{d} {m}, {y} год",
           "{y} г., {d} {m}", "{y} год, {d} {m}", "{d}го {m} {y}"),
    "sk": ("{d}. {m} roku {y}", "dňa {d}. {m} {y}", "dňa {d}.{n}.{y}", "{d}.{m} {y}"),
    "sl": ("{d}. {m} leta {y}", "dne {d}. {m} {y}", "{d}.{m} {y}"),
    "sq": ("më {d} {m} {y}", "datë {d}.{n}.{y}"),
    "sr": ("{d}. {m} {y}. godine", "{d}. {m} {y}. године", "дана {d}. {m} {y}."),
    "sv": ("{d}:e {m} {y}", "den {d} {m} år {y}", "{d}e {m} {y}", "den {d}/{n} {y}", "d. {d} {m} {y}"),
    "sw": ("tarehe {d} {m} {y}", "tarehe {d} mwezi wa {m} mwaka {y}"),
    "ta": ("{y} ஆம் ஆண்டு {m} {d}", "{d}ஆம் தேதி {m} {y}", "{m} {d} ஆம் தேதி {y}"),
    "te": ("{y} {m} {d} న", "{d} {m} {y} న", "{m} {d}వ తేదీ {y}"),
    "th": ("วันที่ {d} {m} {y}", "วันที่ {d} {m} พ.ศ. {b}", "วันที่ {d} เดือน {m} พ.ศ. {b}", "{d} เดือน{m} พ.ศ. {b}", "วันที่ {d} เดือน{m} ปี {b}", "{d} {m} ค.ศ. {y}"),
    "tr": ("{d} {m} {y} tarihinde", "{d} {m} {y} tarihli", "{y} yılı {m} ayının {d}", "{d}.{n}.{y} tarihinde", "{d} {m} {y}'te", "{d}'inci {m} {y}",
           "{d} {m} {y} günü"),
    "uk": ("{d} {m} {y} року", "{d}-го {m} {y}-го року", "{d} {m} {y}р.", "«{d}» {m} {y} р."),
    "ur": ("{d} {m} {y}ء", "{m} {d}، {y}", "{d} {m} سن {y}", "{d} {m}، {y}ء"),
    "uz": ("{y}-yil {d}-{m}", "{d}-{m} {y}-yil", "{y} yil {d} {m}"),
    "vi": ("ngày {d} tháng {n} năm {y}", "ngày {d} tháng {n}, {y}", "{d} tháng {n} năm {y}", "ngày {d}/{n}/{y}", "ngày {d}-{n}-{y}", "ngày {d:02} tháng {n:02} năm {y}",
           "{d} tháng {n}, {y}", "ngày {d} {m} năm {y}", "{d}/{n} năm {y}", "ngày {d} th{n} {y}"),
    "zh": ("{y}年{n}月{d}号", "{y} 年 {n} 月 {d} 日", "公元{y}年{n}月{d}日", "{y}年{n:02}月{d:02}日", "{y}年 {n}月 {d}日", "西元{y}年{n}月{d}日", "{y}年{n}月{d}", "于{y}年{n}月{d}日", "{s}年{n}月{d}日", "{s}年{n:02}月{d:02}日",
           "{s}年{n}月{d}号"),
}  # fmt: skip
# The same language by another name of CLDR, or one that says it alike.
PHRASES |= {"nb": PHRASES["no"], "nn": PHRASES["no"], "bs": PHRASES["hr"], "yue": PHRASES["zh"], "ast": PHRASES["es"]}


def by_phrase(generator, identifier, date):
    """A sentence's form of the locale's language: `5 días del mes de marzo de 2024`."""
    phrases = PHRASES.get(locale_of(identifier).language)
    names = month_names(identifier)[date.month]
    if phrases is None or date.year < 1000:
        return None
    if not names:
        phrases = [phrase for phrase in phrases if "{m}" not in phrase]
        if not phrases:
            return None
    phrase = generator.choice(phrases)
    text = phrase.format(
        d=date.day, m=generator.choice(names or [""]), n=date.month, y=date.year, b=date.year + 543,
        o=english_ordinal(date.day), s=f"{date.year % 100:02d}",
    )  # fmt: skip
    return text, "{s}" in phrase
