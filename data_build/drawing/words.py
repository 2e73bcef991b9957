"""The words of the made-up corpora: common words of 35 languages, and the interjections that express a label."""

# Short, frequent words without emotion.
WORDS = {
    "ar": "هذا اليوم في البيت مع صديق ثم السوق كتاب الطريق",
    "bg": "днес аз съм вкъщи с книга после пътя град вода",
    "br": "hoje eu fui em casa com livro depois rua cidade",
    "bs": "danas sam kod kuće sa knjigom poslije put grad voda",
    "cs": "dnes jsem doma s knihou potom cesta město voda stůl",
    "de": "heute bin ich zu Hause mit Buch dann Weg Stadt",
    "el": "σήμερα είμαι στο σπίτι με βιβλίο μετά δρόμος πόλη",
    "en": "today I was at home with the book then road",
    "es": "hoy yo estaba en casa con el libro luego calle",
    "fa": "امروز من در خانه با کتاب بعد راه شهر آب",
    "fi": "tänään olin kotona kirjan kanssa sitten tie kaupunki vesi",
    "fr": "hier je suis chez moi avec le livre puis rue",
    "he": "היום אני בבית עם ספר אחר כך דרך עיר",
    "hi": "आज मैं घर पर किताब के साथ फिर सड़क शहर",
    "hr": "danas sam doma s knjigom poslije cesta grad voda stol",
    "hu": "ma én otthon voltam egy könyv majd út város víz",
    "it": "oggi io ero a casa con il libro poi strada",
    "ja": "今日 私は 家で 本と それから 道 町 水 机",
    "ko": "오늘 나는 집에 책을 들고 그리고 길에 도시 물 책상",
    "lv": "šodien es biju mājās ar grāmatu tad ceļš pilsēta",
    "nl": "vandaag was ik thuis met het boek dan weg stad",
    "no": "jeg var hjemme med boken så veien byen vann bord",
    "pl": "dziś jestem w domu z książką potem droga miasto woda",
    "pt": "ontem estive na casa com um livro depois caminho água",
    "ro": "azi eram acasă cu o carte apoi drum oraș apă",
    "ru": "сегодня я был дома с книгой потом дорога город вода",
    "sk": "dnes som doma s knihou potom cesta mesto voda stôl",
    "sl": "danes sem doma s knjigo potem pot mesto voda miza",
    "sq": "sot unë isha në shtëpi me libër pastaj rruga qyteti",
    "sr": "данас сам код куће са књигом после пут град вода",
    "sv": "idag var jag hemma med boken sedan vägen staden vatten",
    "th": "วันนี้ ฉัน อยู่ บ้าน กับ หนังสือ แล้ว ถนน เมือง น้ำ",
    "tr": "bugün ben evde kitap ile sonra yol şehir su masa",
    "ur": "آج میں گھر پر کتاب کے ساتھ پھر سڑک شہر",
    "zh": "今天 我 在 家 看 书 然后 路上 城市 水",
}
UNSPACED = {"ja", "th", "zh"}

INTERJECTIONS = {
    "joy": "yay 😀",
    "happy": "yay 😀",
    "happiness": "yay 😀",
    "anger": "grr 😡",
    "angry": "grr 😡",
    "fear": "eek 😱",
    "sadness": "sob 😭",
    "sad": "sob 😭",
    "surprise": "wow 😮",
    "disgust": "ugh 🤢",
    "anticipation": "soon ⏳",
    "trust": "sure 🤝",
    "love": "aww ❤",
    "optimism": "hope 🌈",
    "pessimism": "alas 🌧",
    "positive": "bravo 👍",
    "negative": "boo 👎",
    "neutral": "hm 😐",
    "other": "er 🤷",
}
ADVERBS = ("hardly", "slightly", "rather", "extremely")  # intensity 0 to 3
VALENCE = {
    "-3": "very negative",
    "-2": "moderately negative",
    "-1": "slightly negative",
    "0": "neutral or mixed",
    "1": "slightly positive",
    "2": "moderately positive",
    "3": "very positive",
}


def interjections(*labels: str) -> str:
    """The interjections of all these labels, with spaces between them."""
    return " ".join(INTERJECTIONS[label] for label in labels)
