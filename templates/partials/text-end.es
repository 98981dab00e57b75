-- 
Example Bank

Recibe este correo porque eligió el correo electrónico para «{{product.title}}».{{#preferences_url}} Puede cambiar su elección cuando quiera: {{preferences_url}}{{/preferences_url}}{{^preferences_url}} Puede cambiar su elección cuando quiera en su banca en línea, en Mensajes.{{/preferences_url}}
Nunca le pediremos su PIN ni su contraseña por correo, SMS o teléfono.

Example Bank · Plaza del Mercado 1 · Exampletown
Mensaje {{message.id}}
